package oncall_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-oncall/tocsin/escalation/oncall"
)

func TestStandingSaysWhatEachLayerSays(t *testing.T) {
	t.Parallel()
	s := compile(t, oncall.Spec{Layers: []oncall.Layer{
		{Name: "weekly", Rotation: weekly("ana")},
		{Name: "fridays", Priority: 5, Rotation: weekly("bo"), Windows: []oncall.Window{{Days: friday}}},
		{Name: "holidays", Priority: 9, Rotation: weekly("cy"), Days: oncall.HolidaysOnly},
		{Name: "nobody", Priority: 1, Spans: []oncall.Span{}},
		{Name: "learning", Rotation: weekly("dan"), Shadow: true},
	}, Holidays: []oncall.Date{date(2026, 12, 25)}})
	assert.Equal(t, []oncall.Standing{
		{Layer: "holidays", Held: "cy"}, {Layer: "fridays", Held: "bo"}, {Layer: "nobody"}, {Layer: "weekly", User: "ana"}, {Layer: "learning", User: "dan", Shadow: true},
	}, s.Standing(at(t, "2026-11-23 12:00", time.UTC)))
	assert.Equal(t, []oncall.Standing{
		{Layer: "holidays", User: "cy"}, {Layer: "fridays", User: "bo"}, {Layer: "nobody"}, {Layer: "weekly", User: "ana"}, {Layer: "learning", User: "dan", Shadow: true},
	}, s.Standing(at(t, "2026-12-25 12:00", time.UTC)))
}
