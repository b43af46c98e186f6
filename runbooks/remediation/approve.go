package remediation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// needs is how many approvals a run takes.
func (m *remedy) needs() int {
	switch {
	case m.spec.Mode == tocsin.ModeAuto:
		return 0
	case m.spec.TwoPerson:
		return 2
	default:
		return 1
	}
}

// mayApprove reports why somebody may not approve a proposal; nil: they may.
func (m *remedy) mayApprove(r *record, by string) error {
	switch {
	case by == "":
		return tocsin.Invalid("by", "missing; say who approves")
	case len(m.spec.Approvers) > 0 && !slices.Contains(m.spec.Approvers, by):
		return tocsin.Invalid("by", "%s may not approve %s; ask %s", by, m.spec.Name, strings.Join(m.spec.Approvers, " or "))
	case m.spec.TwoPerson && by == r.ProposedBy:
		return tocsin.Invalid("by", "%s asked for it, and %s takes two other people", by, m.spec.Name)
	}
	return nil
}

// standing are the approvals of those who may approve it still.
func (m *remedy) standing(r *record) []tocsin.Approval {
	return slices.DeleteFunc(slices.Clone(r.Approvals), func(a tocsin.Approval) bool { return m.mayApprove(r, a.By) != nil })
}

// approve notes somebody's yes, and that there are enough of them, if so. The
// bool tells whether anything changed: a second click of the same person changes
// nothing.
func (m *remedy) approve(r *record, by string, now time.Time) (text string, changed bool, err error) {
	switch {
	case slices.ContainsFunc(r.Approvals, func(a tocsin.Approval) bool { return a.By == by }):
		return "", false, nil
	case r.State != tocsin.RemediationProposed:
		return "", false, r.conflict()
	}
	if err := m.mayApprove(r, by); err != nil {
		return "", false, err
	}
	r.Approvals = append(m.standing(r), tocsin.Approval{By: by, At: now})
	missing := r.Needs - len(r.Approvals)
	if missing <= 0 {
		r.State, r.ExpiresAt = tocsin.RemediationApproved, now.Add(m.spec.ApprovalExpiry)
		return "approved by " + by, true, nil
	}
	if r.ExpiresAt.IsZero() { // a suggestion waits, an approval does not
		r.ExpiresAt = now.Add(m.spec.ApprovalExpiry)
	}
	return fmt.Sprintf("approved by %s; somebody else has to approve it too, until %s", by, stamp(r.ExpiresAt)), true, nil
}

// propose readies a record for a run that somebody asks for, or that an alert
// does (by is empty), and says so.
func (m *remedy) propose(r *record, by string, now time.Time) (text string) {
	r.Mode, r.Needs, r.Digest, r.Fit = m.spec.Mode, m.needs(), m.digest, m.fit
	r.State, r.Why, r.Killed = tocsin.RemediationProposed, "", ""
	r.ProposedAt, r.ProposedBy, r.Approvals = now, by, nil
	r.EndedAt, r.ExpiresAt = time.Time{}, now.Add(m.spec.ApprovalExpiry)
	switch {
	case m.spec.Mode == tocsin.ModeAuto:
		r.State = tocsin.RemediationApproved
		if by != "" {
			return "asked for by " + by
		}
		return "starts by itself"
	case by != "":
		return fmt.Sprintf("asked for by %s; %s until %s", by, m.waits(), stamp(r.ExpiresAt))
	case m.spec.Mode == tocsin.ModeSuggest:
		r.ExpiresAt = time.Time{}
		return "could be run: " + m.waits()
	default:
		return fmt.Sprintf("proposed; %s until %s", m.waits(), stamp(r.ExpiresAt))
	}
}

// waits says what a proposal waits for.
func (m *remedy) waits() string {
	who := "anybody who may respond"
	if len(m.spec.Approvers) > 0 {
		who = strings.Join(m.spec.Approvers, ", ")
	}
	if m.spec.TwoPerson {
		return "two approvals are needed, of " + who + ","
	}
	return "an approval is needed, of " + who + ","
}

// conflict says that a remediation stands where nothing of what is asked can be
// done.
func (r *record) conflict() error {
	if r.Why == "" {
		return fmt.Errorf("%w: %s is %s already", tocsin.ErrConflict, r.title(), r.State)
	}
	return fmt.Errorf("%w: %s is %s already: %s", tocsin.ErrConflict, r.title(), r.State, r.Why)
}

// expired reports whether a proposal, or an approval, is too old.
func (r *record) expired(now time.Time) bool {
	return !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt) &&
		(r.State == tocsin.RemediationProposed || r.State == tocsin.RemediationApproved)
}

// judge says how a run that has ended by itself, or whose time was over, stands:
// whether it is worth asking if it has helped, and until when.
func (m *remedy) judge(exit int, now time.Time) (state tocsin.RemediationState, until time.Time) {
	switch {
	case m.verify.asked() && exit == 0:
		return tocsin.RemediationVerifying, now.Add(m.spec.Contract.Verify.Within)
	case m.verify.asked(): // it may have helped all the same: one question
		return tocsin.RemediationVerifying, now
	case exit == 0:
		return tocsin.RemediationVerified, now
	default:
		return m.unhelped(), now
	}
}

// unhelped is what follows when it has not helped.
func (m *remedy) unhelped() tocsin.RemediationState {
	if m.rollback != nil {
		return tocsin.RemediationRollingBack
	}
	return tocsin.RemediationNotFixed
}
