package bolt

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of a store. Opening a second store with the same Registerer while the
// first is open is an error.
type metrics struct {
	commitSeconds prometheus.Histogram
	commits       prometheus.Counter
	batch         prometheus.Histogram
	// ok wrote or read; refused got an error of its decision; unavailable was
	// not made durable; cancelled ended before its turn.
	ok, refused, unavailable, cancelled prometheus.Counter
	registerer                          prometheus.Registerer
	all                                 []prometheus.Collector
}

func newMetrics(r prometheus.Registerer, queue, size func() float64) (*metrics, error) {
	updates := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_store_updates_total",
		Help: "Updates by outcome: ok, refused (by the decision), unavailable, cancelled (before their turn).",
	}, []string{"outcome"})
	m := &metrics{
		registerer: r,
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tocsin_store_commit_seconds",
			Help:    "Time to make one batch of updates durable.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
		commits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_store_commits_total", Help: "Transactions that were made durable.",
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tocsin_store_batch_updates",
			Help:    "Updates that shared one commit.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024},
		}),
		ok:          updates.WithLabelValues("ok"),
		refused:     updates.WithLabelValues("refused"),
		unavailable: updates.WithLabelValues("unavailable"),
		cancelled:   updates.WithLabelValues("cancelled"),
	}
	m.all = []prometheus.Collector{
		updates, m.commitSeconds, m.commits, m.batch,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tocsin_store_queue_length", Help: "Updates that wait for the committer.",
		}, queue),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tocsin_store_size_bytes", Help: "Size of the store's file that is in use or was.",
		}, size),
	}
	return m, m.register()
}

func (m *metrics) register() error {
	for n, c := range m.all {
		if err := m.registerer.Register(c); err != nil {
			for _, done := range m.all[:n] {
				m.registerer.Unregister(done)
			}
			return errors.Join(errors.New("the store's metrics are registered already: close the other store first"), err)
		}
	}
	return nil
}

// unregister lets a store that is opened later register its own.
func (m *metrics) unregister() {
	for _, c := range m.all {
		m.registerer.Unregister(c)
	}
}
