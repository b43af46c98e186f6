package trace

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// remedies says which remedies ran, and why others did not.
func (m *Material) remedies() (out []tocsin.Reason) {
	for n := range m.Remediations {
		out = append(out, remediation(&m.Remediations[n]))
	}
	switch {
	case len(out) > 0 || m.Remedies == 0 || m.Incident.Kind != tocsin.KindAlerts:
		return out
	case m.Incident.Quiet():
		return []tocsin.Reason{reason(tocsin.StageRemedy, tocsin.EndHeld, time.Time{}, "no remedy is proposed: what is held back is not remedied either, unless somebody asks")}
	default:
		return []tocsin.Reason{reason(tocsin.StageRemedy, tocsin.EndHeld, time.Time{}, "none of the remedies fits what fires (declared: %d)", m.Remedies)}
	}
}

func remediation(r *tocsin.Remediation) tocsin.Reason {
	state := strings.ReplaceAll(string(r.State), "_", " ")
	one := tocsin.Reason{Stage: tocsin.StageRemedy, At: r.ProposedAt, Where: r.ID, By: r.ProposedBy, Text: fmt.Sprintf("remedy %s on %s (%s): %s", r.Remedy, r.Target, r.Mode, state)}
	switch {
	case r.State == tocsin.RemediationRefused, r.State == tocsin.RemediationDenied, r.State == tocsin.RemediationExpired:
		one.End = tocsin.EndHeld
	case !r.State.Final():
		one.End = tocsin.EndWaiting
	case r.State == tocsin.RemediationVerified:
	default:
		one.End = tocsin.EndFailed
	}
	why := r.Why
	if n := len(r.Log); n > 0 {
		last := &r.Log[n-1]
		if one.At = last.At; last.By != "" {
			one.By = last.By
		}
		if why == "" {
			why = last.Text
		}
	}
	if why != "" {
		one.Text += ": " + why
	}
	return one
}
