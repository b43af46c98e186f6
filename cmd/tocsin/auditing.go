package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// The providers that call back, by the beginnings of the paths that they call, as
// the audit log names them. Slack's and PagerDuty's own addresses say nothing.
var providers = []struct {
	path, name string
	addressed  bool
}{
	{"/slack/", "Slack", false},
	{"/webhook/pagerduty", "PagerDuty", false},
	{"/webhook/sns/", "SNS", false},
	{"/v2/", "events API", true},
}

// fromProviders has everything that callbacks change written down as coming from
// their provider.
func fromProviders(callbacks map[string]http.Handler) {
	for path, h := range callbacks {
		for _, p := range providers {
			if strings.HasPrefix(path, p.path) {
				callbacks[path] = fromProvider(p.name, p.addressed, h)
			}
		}
	}
}

func fromProvider(name string, addressed bool, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := tocsin.Principal{Via: name}
		if addressed {
			host, _, _ := net.SplitHostPort(r.RemoteAddr)
			who.Address = cmp.Or(host, r.RemoteAddr)
		}
		h.ServeHTTP(w, r.WithContext(tocsin.WithOrigin(r.Context(), who.Origin())))
	})
}

type actorKey struct{}

// withActor says in whose name something is changed that has no parameter for it.
func withActor(ctx context.Context, by string) context.Context {
	return context.WithValue(ctx, actorKey{}, by)
}

func actorOf(ctx context.Context) string {
	by, _ := ctx.Value(actorKey{}).(string)
	return by
}

func (a *App) reloadFor(ctx context.Context, by string) error { return a.Reload(withActor(ctx, by)) }

// backup writes a backup and notes it: who has one has everything.
func (a *App) backup(ctx context.Context, by string, w io.Writer) (int64, error) {
	n, err := a.store.Backup(w)
	if err == nil {
		a.noteSystem(ctx, tocsin.Event{Actor: by, Text: "a backup was taken"})
	}
	return n, err
}

// noteSystem writes something about Tocsin itself into the audit log. That it
// could not be written is no reason not to do it.
func (a *App) noteSystem(ctx context.Context, e tocsin.Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceWithin)
	defer cancel()
	e.Kind, e.At = tocsin.EventSystem, time.Now()
	if err := a.store.Update(ctx, func(tx tocsin.Tx) error { tx.Append(e); return nil }); err != nil {
		a.log.Warn("this could not be written into the audit log", "what", e.Text, "error", err)
	}
}

// followAudit notes that Tocsin has started, and has the audit log written to a file
// too where the configuration names one.
func (a *App) followAudit(ctx context.Context, g *errgroup.Group) {
	a.mu.Lock()
	cfg := a.cfg
	a.mu.Unlock()
	g.Go(func() error {
		a.started(ctx, cfg.Hash())
		return nil
	})
	if cfg.Audit.File == "" {
		return
	}
	a.audits = newAuditFile(cfg.Audit.File, a.store, a.log.With("component", "audit"), a.registry)
	g.Go(func() error { return a.audits.run(ctx) })
}

// started notes that the program runs, and with which configuration.
func (a *App) started(ctx context.Context, hash string) {
	a.noteSystem(ctx, tocsin.Event{Text: "Tocsin " + version + " started", After: hash})
}

// stopped notes that the program ends by itself: a start without a stop before it
// tells of a crash.
func (a *App) stopped() {
	a.noteSystem(context.Background(), tocsin.Event{Text: "Tocsin stopped"})
	if a.audits != nil {
		ctx, cancel := context.WithTimeout(context.Background(), traceWithin)
		defer cancel()
		a.audits.catchUp(ctx)
		a.audits.close()
	}
}

// noteRestored writes into a store that it was put in place from a backup: what
// happened after the backup is not in its log.
func noteRestored(ctx context.Context, dir, backup string) error {
	store, err := bolt.Open(filepath.Join(dir, bolt.FileName), bolt.Options{Ballast: -1, MinFree: -1})
	if err != nil {
		return err
	}
	err = store.Update(tocsin.WithOrigin(ctx, "terminal"), func(tx tocsin.Tx) error {
		tx.Append(tocsin.Event{Kind: tocsin.EventSystem, At: time.Now(), Actor: whoami(), Text: "the store was restored from " + filepath.Base(backup)})
		return nil
	})
	return errors.Join(err, store.Close())
}
