package callback

import (
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// logEvery is how often the same cause gets a line.
const logEvery = time.Minute

// quietLog logs each cause once in logEvery: whoever can reach the URL can have
// requests refused as often as they like. Causes are of our own making, so few.
type quietLog struct {
	log *slog.Logger

	mu    sync.Mutex
	next  map[string]time.Time
	quiet map[string]int
}

// once returns the logger for a cause that has no line yet in this logEvery, and
// one that logs nothing for any other.
func (q *quietLog) once(now time.Time, cause string) *slog.Logger {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Before(q.next[cause]) {
		q.quiet[cause]++
		return slog.New(slog.DiscardHandler)
	}
	if q.next == nil {
		q.next, q.quiet = map[string]time.Time{}, map[string]int{}
	}
	missed := q.quiet[cause]
	q.next[cause], q.quiet[cause] = now.Add(logEvery), 0
	return q.log.With("cause", cause, "more_before", missed)
}

type metrics struct {
	callbacks *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	replies   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		callbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_slack_callbacks_total",
			Help: "Callbacks of Slack by kind and outcome: done, stale, stranger, asked, failed, ignored or refused.",
		}, []string{"kind", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_slack_callback_seconds", Help: "Time from a callback of Slack to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 3},
		}, []string{"kind"}),
		replies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_slack_replies_total",
			Help: "What was said to people who clicked, by outcome: said, failed or dropped.",
		}, []string{"outcome"}),
	}
	if reg != nil {
		reg.MustRegister(m.callbacks, m.seconds, m.replies)
	}
	return m
}

func (m *metrics) callback(kind, outcome string, took time.Duration) {
	m.callbacks.WithLabelValues(kind, outcome).Inc()
	m.seconds.WithLabelValues(kind).Observe(max(took, 0).Seconds())
}
