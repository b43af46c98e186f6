package trace_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/trace"
)

var at = time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)

// What a target shows decides what is said of its provider.
func TestWhatIsSaidOfAProvider(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		is   tocsin.Delivery
		end  tocsin.ReasonEnd
		text string
	}{
		"sent":     {tocsin.Delivery{Revision: 2, Ref: "C1/1", DeliveredAt: at}, tocsin.EndSent, "the provider has it as C1/1"},
		"called":   {tocsin.Delivery{Revision: 2, Ref: "C1/1", DeliveredAt: at, User: "ana"}, tocsin.EndSent, "for ana: the provider has it as C1/1"},
		"sending":  {tocsin.Delivery{}, tocsin.EndWaiting, "it is being sent"},
		"retrying": {tocsin.Delivery{Attempts: 2, Error: "503"}, tocsin.EndWaiting, "it has failed, and is tried again: 503"},
		"failed":   {tocsin.Delivery{Failed: true, FailedRevision: 2, Error: "no channel"}, tocsin.EndFailed, "it failed, and is not tried again until the state changes: no channel"},
		"stopped":  {tocsin.Delivery{Stopped: true}, tocsin.EndHeld, "stopped before it was sent: somebody had answered"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.is.Target = "slack:#x"
			inc := &tocsin.Incident{ID: "k7f3q9", Revision: 2, StateRevision: 2, State: tocsin.Triggered, Deliveries: []tocsin.Delivery{tt.is}}
			got := trace.Of(&trace.Material{Incident: inc}, "").Reasons
			last := got[len(got)-1]
			assert.Equal(t, tocsin.StageProvider, last.Stage)
			assert.Equal(t, tt.end, last.End)
			assert.Equal(t, tt.text, last.Text)
			assert.Equal(t, "slack:#x", last.Where)
		})
	}
}

// Merged incidents page through another; nothing is said to be sent.
func TestAMergedIncidentSaysWhoPagesForIt(t *testing.T) {
	t.Parallel()
	inc := &tocsin.Incident{ID: "k7f3q9", Revision: 1, StateRevision: 1, MergedInto: "b2b2b2", Deliveries: []tocsin.Delivery{{Target: "slack:#x"}}}
	got := trace.Of(&trace.Material{Incident: inc}, "").Reasons
	assert.Contains(t, got, tocsin.Reason{Stage: tocsin.StageSuppression, End: tocsin.EndHeld, Text: "merged: incident b2b2b2 pages for it", Where: "b2b2b2"})
	assert.Equal(t, tocsin.EndHeld, got[len(got)-1].End)
}
