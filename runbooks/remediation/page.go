package remediation

import (
	"context"

	"github.com/tocsin-oncall/tocsin"
)

// maxTitle bounds a page's title, and maxPage its text, in bytes.
const (
	maxTitle = 300
	maxPage  = 3500
)

// sendPage pages a person about a remediation, where that is owed. What cannot be
// said now is found by the sweep.
func (e *Engine) sendPage(ctx context.Context, id string) {
	ctx, cancel := last(ctx)
	defer cancel()
	x, err := e.committed(ctx)
	if err != nil {
		return
	}
	r := x.find(id)
	if r == nil || r.Page == nil {
		return
	}
	if e.o.Pager == nil {
		e.o.Logger.Error("a remedy needs somebody, and there is no way to page", "remediation", id, "why", r.Page.Title)
	} else {
		m := tocsin.Manual{Key: r.Page.Key, Title: cutEnd(r.Page.Title, maxTitle), Text: cutEnd(r.Page.Text, maxPage), Severity: tocsin.Critical}
		if inc, err := e.o.Store.Get(ctx, r.Incident); err == nil {
			m.Receivers = inc.Receivers
		}
		if _, err := e.o.Pager.OpenManual(ctx, m); err != nil {
			e.o.Logger.Error("a page about a remedy could not be opened; tried again soon", "remediation", id, "error", err)
			return
		}
	}
	err = e.write(ctx, func(l *ledger) error {
		now, err := l.find(id)
		if err != nil || now == nil || now.Page == nil || *now.Page != *r.Page {
			return err
		}
		now.Page = nil
		return l.put(now)
	})
	if err != nil {
		e.o.Logger.Warn("that somebody was paged could not be written; they may be once more", "remediation", id, "error", err)
	}
}
