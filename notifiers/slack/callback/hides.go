package callback

import (
	"context"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Hidden is what a silence would hide now, and would have hidden.
type Hidden struct {
	// Alerts fire now and match, in Incidents; Held of them page nobody already.
	// First are the newest 20 of the incidents, which are shared: do not change them.
	Alerts, Held, Incidents int
	First                   []*tocsin.Incident
	// Least is true where not all that is open could be looked at in time.
	Least bool
	// Before is how many of the Opened incidents of the last 30 days had an alert
	// that matches, of the Looked that could be looked at; of Gone the alerts are
	// not kept any more. Latest are the newest 5 of them.
	Before, Opened, Looked, Gone int
	Latest                       []*tocsin.Incident
	// BeforeLeast is true where not all of Opened could be looked at in time, and
	// OpenedLeast where there may be more than Opened.
	BeforeLeast, OpenedLeast bool
}

// Hides counts what a silence of the matchers, in Alertmanager's syntax, would hide.
// It answers within about a second, with what it has found until then. The error is
// that of a matcher that cannot be read.
func Hides(ctx context.Context, reader tocsin.Reader, matchers []string, now time.Time) (Hidden, error) {
	ctx, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	ms, err := compile(matchers)
	if err != nil {
		return Hidden{}, err
	}
	n := counter{reader: reader, matchers: ms}
	open, before := n.now(ctx), n.since(ctx, now.Add(-recently))
	return Hidden{
		Alerts: open.alerts, Held: open.held, Incidents: open.incidents, First: open.first, Least: open.least,
		Before: before.incidents, Opened: before.of, Looked: before.looked, Gone: before.gone, Latest: before.latest,
		BeforeLeast: before.least, OpenedLeast: before.more,
	}, nil
}
