package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// Receiver takes alerts. When Receive returns nil, what the batch says is
// durable. It does not wait longer than ctx allows.
type Receiver interface {
	// Receive decides and commits a batch.
	Receive(ctx context.Context, b tocsin.Batch) (tocsin.Outcome, error)
}

// Actions are what people do to incidents. Both are idempotent, and return
// tocsin.ErrNotFound for an incident that does not exist.
type Actions interface {
	// Acknowledge records that by has taken the incident.
	Acknowledge(ctx context.Context, id, by string) error
	// Resolve closes the incident.
	Resolve(ctx context.Context, id, by string) error
}

// Silencer keeps silences. PutSilence gives a silence without an ID one.
type Silencer interface {
	// PutSilence makes or changes a silence and returns it as it was kept.
	PutSilence(ctx context.Context, s tocsin.Silence) (tocsin.Silence, error)
	// ExpireSilence ends a silence now.
	ExpireSilence(ctx context.Context, id, by string) error
	// Silences returns all that are kept, expired ones too.
	Silences(ctx context.Context) ([]tocsin.Silence, error)
}

// Runbooks is the library. Get returns nil where there is none.
type Runbooks interface {
	// Get returns the runbook of an ID, or nil.
	Get(id string) *tocsin.Runbook
	// List returns all of them.
	List() []*tocsin.Runbook
}

// Health tells whether alerts would be taken now. The error's lines, as
// errors.Join writes them, are the reasons why not.
type Health interface {
	// Ready returns nil while alerts would be taken.
	Ready() error
}

// Deps are what the server stands on. Receiver, Reader, Actions, Silencer,
// Runbooks and Health are required.
type Deps struct {
	Receiver Receiver
	Reader   tocsin.Reader
	Actions  Actions
	Silencer Silencer
	Runbooks Runbooks
	Health   Health

	// Reload reads the configuration again; its error is shown to the caller.
	// Nil: POST /-/reload is answered with 404.
	Reload func(context.Context) error
	// Backup writes a hot backup of the store. Nil: 404.
	Backup func(io.Writer) (int64, error)
	// Stats is what GET /api/v1/stats shows. Nil: 404.
	Stats func() tocsin.Stats
	// FillRunbook returns a copy of the runbook with its placeholders filled
	// from an alert's labels. Nil: runbooks are shown as they are written.
	FillRunbook func(*tocsin.Runbook, tocsin.Labels) *tocsin.Runbook
	// Metrics serves /metrics. Nil: 404.
	Metrics http.Handler
	// Pages serves everything that no other route does, instead of the built-in
	// pages. Nil: the built-in pages.
	Pages http.Handler

	// Logger is for everything worth a line; nil: none.
	Logger *slog.Logger
	// Registerer gets the server's metrics; nil: nobody sees them.
	Registerer prometheus.Registerer
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

func (d Deps) withDefaults() (Deps, error) {
	switch {
	case d.Receiver == nil:
		return d, errors.New("no Receiver")
	case d.Reader == nil:
		return d, errors.New("no Reader")
	case d.Actions == nil:
		return d, errors.New("no Actions")
	case d.Silencer == nil:
		return d, errors.New("no Silencer")
	case d.Runbooks == nil:
		return d, errors.New("no Runbooks")
	case d.Health == nil:
		return d, errors.New("no Health")
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Registerer == nil {
		d.Registerer = prometheus.NewRegistry()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return d, nil
}
