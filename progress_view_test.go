package tocsin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
)

// book makes a runbook whose steps' IDs are their texts. Behind a colon stands the
// section.
func book(texts ...string) *tocsin.Runbook {
	rb := &tocsin.Runbook{ID: "x"}
	for _, t := range texts {
		section, text, ok := strings.Cut(t, ":")
		if !ok {
			section, text = "mitigation", t
		}
		rb.Steps = append(rb.Steps, tocsin.Step{ID: text, Section: tocsin.SectionKind(section), Text: text})
	}
	return rb
}

// ticked is progress in which these steps, with the numbers that they had, are done.
func ticked(steps ...string) *tocsin.Progress {
	p := &tocsin.Progress{}
	for _, s := range steps {
		var n int
		var text string
		_, _ = fmt.Sscanf(s, "%d %s", &n, &text)
		p.Steps = append(p.Steps, tocsin.StepProgress{
			Step: text, Number: n, Text: text, Status: tocsin.StepDone, By: "ana", At: time.Unix(1, 0), Via: "Slack", Note: "fine",
		})
	}
	return p
}

// drawn writes views as "1 a x, 2 b edited, 3 c x gone".
func drawn(views []tocsin.StepView) string {
	var out []string
	for _, v := range views {
		s := fmt.Sprintf("%d %s", v.Number, v.Text)
		if v.Status == tocsin.StepDone {
			s += " x"
		}
		if v.Edited {
			s += " edited"
		}
		if v.Gone {
			s += " gone"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func TestView(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pinned, now *tocsin.Runbook
		progress    *tocsin.Progress
		want        string
	}{
		"nothing":             {nil, nil, nil, ""},
		"nothing was touched": {book("a", "b"), book("a", "b"), nil, "1 a, 2 b"},
		"unchanged":           {book("a", "b"), book("a", "b"), ticked("2 b"), "1 a, 2 b x"},
		"moved":               {book("a", "b", "c"), book("c", "a", "b"), ticked("2 b"), "1 c, 2 a, 3 b x"},
		"added":               {book("a", "b"), book("a", "new", "b"), ticked("2 b"), "1 a, 2 new edited, 3 b x"},
		"edited and untouched": {
			book("a", "b", "c"), book("a", "b2", "c"), ticked("1 a"), "1 a x, 2 b2 edited, 3 c",
		},
		"edited, and the tick is history": {
			book("a", "b", "c"), book("a", "b2", "c"), ticked("2 b"), "1 a, 2 b x gone, 2 b2 edited, 3 c",
		},
		"the successor is done too": {
			book("a", "b", "c"), book("a", "b2", "c"), ticked("2 b", "2 b2"), "1 a, 2 b x gone, 2 b2 x edited, 3 c",
		},
		"edited twice": {
			book("a", "b", "c"), book("a", "b3", "c"), ticked("2 b2"), "1 a, 2 b2 x gone, 2 b3 edited, 3 c",
		},
		"vanished":              {book("a", "b", "c"), book("a", "c"), nil, "1 a, 2 b gone, 2 c"},
		"the first vanished":    {book("a", "b"), book("b"), ticked("1 a"), "1 a x gone, 1 b"},
		"the last vanished":     {book("a", "b"), book("a"), nil, "1 a, 2 b gone"},
		"another section's":     {book("diagnosis:a", "b"), book("b2", "b"), nil, "1 a gone, 1 b2 edited, 2 b"},
		"the runbook vanished":  {book("a", "b"), nil, ticked("2 b"), "1 a gone, 2 b x gone"},
		"what was not kept":     {nil, book("a", "c"), ticked("2 b", "1 a"), "1 a x, 2 b x gone, 2 c"},
		"nothing of it is left": {book("a"), &tocsin.Runbook{}, nil, "1 a gone"},
	} {
		assert.Equal(t, c.want, drawn(c.progress.View(c.pinned, c.now)), name)
	}
	v := ticked("1 a").View(book("a"), book("a"))[0]
	assert.Equal(t, tocsin.StepView{
		Number: 1, ID: "a", Text: "a", Status: tocsin.StepDone, By: "ana", At: time.Unix(1, 0), Via: "Slack", Note: "fine",
	}, v)
	assert.True(t, v.Finished())
}

// What says nearly the same is replaced, and not what stood in front of it.
func TestViewFindsTheSuccessor(t *testing.T) {
	t.Parallel()
	pinned := book("look", "drain it", "restart my node", "tell")
	now := book("look", "restart the node", "tell")
	done := &tocsin.Progress{Steps: []tocsin.StepProgress{{Step: "restart my node", Status: tocsin.StepDone}}}
	assert.Equal(t, "1 look, 2 drain it gone, 2 restart the node edited, 3 tell", drawn((*tocsin.Progress)(nil).View(pinned, now)))
	assert.Equal(t, "1 look, 2 drain it gone, 3 restart my node x gone, 2 restart the node edited, 3 tell", drawn(done.View(pinned, now)))
	// What says something else has replaced nothing: what is gone stays visible.
	now = book("look", "restart the node", "check the volumes", "tell")
	assert.Equal(t, "1 look, 2 drain it gone, 2 restart the node edited, 3 check the volumes edited, 4 tell", drawn((*tocsin.Progress)(nil).View(pinned, now)))
	pinned.Steps[1].Commands = []tocsin.Command{{Text: "restart the node"}}
	assert.Equal(t, "1 look, 2 restart the node edited, 3 restart my node gone, 3 tell",
		drawn((*tocsin.Progress)(nil).View(pinned, book("look", "restart the node", "tell"))), "commands have words too")
}

// Whatever is edited, every step of now is shown once, in order and with its tick,
// and nothing that was touched is lost.
func TestViewLosesNothing(t *testing.T) {
	t.Parallel()
	steps := rapid.SliceOfNDistinct(rapid.IntRange(0, 25), 0, 12, rapid.ID)
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) *tocsin.Runbook {
			if rapid.IntRange(0, 9).Draw(t, name+" is nil") == 0 {
				return nil
			}
			rb := book()
			for _, n := range steps.Draw(t, name) {
				id := string(rune('a' + n))
				rb.Steps = append(rb.Steps, tocsin.Step{ID: id, Text: id, Section: tocsin.SectionKind(fmt.Sprint(n % 2))})
			}
			return rb
		}
		pinned, now := draw("pinned"), draw("now")
		p := &tocsin.Progress{}
		for _, n := range steps.Draw(t, "touched") {
			p.Steps = append(p.Steps, tocsin.StepProgress{
				Step: string(rune('a' + n)), Text: string(rune('a' + n)), Number: rapid.IntRange(1, 12).Draw(t, "number"), Status: tocsin.StepDone,
			})
		}
		before := p.Clone()
		views := p.View(pinned, now)
		require.Equal(t, before, p, "it only looks")
		require.Equal(t, views, p.View(pinned, now), "it is the same every time")
		has := func(rb *tocsin.Runbook, id string) bool {
			return rb != nil && slices.ContainsFunc(rb.Steps, func(s tocsin.Step) bool { return s.ID == id })
		}
		var present []string
		seen := map[string]bool{}
		for _, v := range views {
			require.False(t, seen[v.ID], "%s is shown twice", v.ID)
			seen[v.ID] = true
			require.Equal(t, p.Status(v.ID), v.Status)
			require.Equal(t, !has(now, v.ID), v.Gone)
			require.Equal(t, pinned != nil && !v.Gone && !has(pinned, v.ID), v.Edited)
			if !v.Gone {
				present = append(present, v.ID)
				require.Equal(t, len(present), v.Number)
			} else {
				require.True(t, has(pinned, v.ID) || p.Of(v.ID) != nil, "%s was never there", v.ID)
			}
		}
		if now != nil {
			require.Len(t, present, len(now.Steps))
			for i := range now.Steps {
				require.Equal(t, now.Steps[i].ID, present[i])
			}
		}
		for i := range p.Steps {
			require.True(t, seen[p.Steps[i].Step], "%s was touched, and is lost", p.Steps[i].Step)
		}
	})
}

func TestViewOfManyIsQuick(t *testing.T) {
	t.Parallel()
	var a, b []string
	for n := range 10_000 {
		a, b = append(a, fmt.Sprint("a", n)), append(b, fmt.Sprint("b", n))
	}
	assert.Len(t, (*tocsin.Progress)(nil).View(book(a...), book(b...)), len(a)+len(b))
}

func TestSayProgress(t *testing.T) {
	t.Parallel()
	rb := book("look", "drain", "restart", "tell")
	var p *tocsin.Progress
	assert.Equal(t, "0 of 4 steps done, next: look", tocsin.SayProgress(p.View(nil, rb)))
	p = ticked("1 look", "4 tell", "9 gone")
	assert.Equal(t, "2 of 4 steps done, next: drain", tocsin.SayProgress(p.View(nil, rb)))
	p = ticked("1 look", "2 drain", "3 restart")
	p.Steps[1].Status, p.Steps[2].Status = tocsin.StepSkipped, tocsin.StepStarted
	assert.Equal(t, "1 of 4 steps done, 1 skipped, next: restart (ana has begun)", tocsin.SayProgress(p.View(nil, rb)))
	assert.Equal(t, "4 of 4 steps done", tocsin.SayProgress(ticked("1 look", "2 drain", "3 restart", "4 tell").View(nil, rb)))
	assert.Empty(t, tocsin.SayProgress(nil))
}

func TestShort(t *testing.T) {
	t.Parallel()
	commands := []tocsin.Command{{Text: "\nkubectl get pods\nkubectl logs"}}
	assert.Equal(t, "Look at it", (&tocsin.Step{Text: "Look\n at  it", Commands: commands}).Short())
	assert.Equal(t, "kubectl get pods", (&tocsin.Step{Commands: commands}).Short())
	long := (&tocsin.Step{Text: strings.Repeat("ä", 1000)}).Short()
	assert.Equal(t, strings.Repeat("ä", 199)+"…", long)
	assert.Empty(t, (&tocsin.Step{}).Short())
	assert.Nil(t, tocsin.DecodeRunbook(nil))
	assert.Nil(t, tocsin.DecodeRunbook([]byte(`{"steps": 1}`)))
	assert.Equal(t, "x", tocsin.DecodeRunbook([]byte(`{"id": "x"}`)).ID)
}
