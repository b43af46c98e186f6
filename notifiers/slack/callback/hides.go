package callback

import (
	"context"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Hides counts what a silence of the matchers, in Alertmanager's syntax, would hide.
// It answers within about a second, with what it has found until then. The error is
// that of a matcher that cannot be read.
func Hides(ctx context.Context, reader tocsin.Reader, matchers []string, now time.Time) (tocsin.Hidden, error) {
	ctx, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	ms, err := compile(matchers)
	if err != nil {
		return tocsin.Hidden{}, err
	}
	n := counter{reader: reader, matchers: ms}
	open, before := n.now(ctx), n.since(ctx, now.Add(-recently))
	return tocsin.Hidden{
		Alerts: open.alerts, Held: open.held, Incidents: open.incidents, First: open.first, Least: open.least,
		Before: before.incidents, Opened: before.of, Looked: before.looked, Gone: before.gone, Latest: before.latest,
		BeforeLeast: before.least, OpenedLeast: before.more,
	}, nil
}
