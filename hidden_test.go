package tocsin_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-oncall/tocsin"
)

func TestWhatIsHiddenInWords(t *testing.T) {
	t.Parallel()
	h := tocsin.Hidden{Least: true, BeforeLeast: true}
	assert.Equal(t, "Not all that fires now could be looked at in time; it hides none of what was.", h.Now(""))
	assert.Equal(t, "What it would have hidden in the last 30 days could not be counted in time.", h.Since(""))
	h = tocsin.Hidden{Alerts: 1, Incidents: 1, Before: 2, Opened: 9, Looked: 5, BeforeLeast: true}
	assert.Equal(t, "Now it would hide 1 firing alert of 1 incident.", h.Now(""))
	assert.Equal(t, "In the last 30 days it would have hidden alerts of at least 2 of 9 incidents. Only 5 of these could be looked at in time.", h.Since(""))
	h.Held = 1
	assert.Equal(t, "Now it would hide *1* firing alert of 1 incident. 1 of the alerts pages nobody already.", h.Now("*"))
	h.OpenedLeast = true
	assert.Contains(t, h.Since(""), "There may be more than these: the newest 5 could be looked at in time.")
}
