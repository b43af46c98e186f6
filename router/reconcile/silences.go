package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/tocsin-oncall/tocsin"
)

// Kind of the documents that say which silence of Alertmanager's stands for which
// of ours; their ID is ours.
const Kind = "alertmanager_silence"

// written is what was written of a silence.
type written struct {
	// ID is Alertmanager's.
	ID string `json:"id"`
	// As is what it was written as.
	As tocsin.Key `json:"as"`
}

// mark is how a silence of ours is known in Alertmanager, where its document was
// not kept: a crash between.
func mark(id string) string { return "[tocsin:" + id + "]" }

// translate writes a silence as Alertmanager has it.
func translate(s *tocsin.Silence) (apiSilence, error) {
	out := apiSilence{StartsAt: s.StartsAt.UTC(), EndsAt: s.EndsAt.UTC(), CreatedBy: s.CreatedBy, Comment: strings.TrimSpace(s.Comment + " " + mark(s.ID))}
	if out.CreatedBy == "" {
		out.CreatedBy = "tocsin"
	}
	for _, text := range s.Matchers {
		list, err := parse.Matchers(text)
		if err != nil {
			return out, fmt.Errorf("matcher %q: %w", text, err)
		}
		for _, m := range list {
			out.Matchers = append(out.Matchers, apiMatcher{
				Name: m.Name, Value: m.Value,
				IsRegex: m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp,
				IsEqual: m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp,
			})
		}
	}
	return out, nil
}

// fingerprint tells whether a silence has changed since it was written.
func fingerprint(s *apiSilence) tocsin.Key {
	b, _ := json.Marshal(s) // plain data
	return tocsin.NewKey(string(b))
}

// writeSilences brings Alertmanager's copies of our silences in line with ours.
func (r *Reconciler) writeSilences(ctx context.Context, clients []*client) {
	var ours []tocsin.Silence
	known := map[string]written{}
	err := r.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		ours = tx.Silences()
		docs, _ := tx.Documents(Kind)
		for _, d := range docs {
			var w written
			if json.Unmarshal(d.Value, &w) == nil {
				known[d.ID] = w
			}
		}
		return nil
	})
	if err != nil {
		return
	}
	w := writer{r: r, clients: clients, known: known}
	now := r.o.Now()
	for i := range ours {
		s := &ours[i]
		was, there := known[s.ID]
		delete(known, s.ID)
		switch {
		case now.Before(s.EndsAt):
			err = w.put(ctx, s, was, there)
		case there:
			err = w.end(ctx, s.ID, was)
		default:
			continue
		}
		w.count(s.ID, err)
	}
	for id, was := range known { // ours is gone altogether
		w.count(id, w.end(ctx, id, was))
	}
}

// writer writes to the first peer that takes it: they tell each other.
type writer struct {
	r       *Reconciler
	clients []*client
	known   map[string]written
	// marked are the IDs of Alertmanager's silences by ours; nil: not asked for yet.
	marked map[string]string
}

func (w *writer) count(id string, err error) {
	if err != nil {
		w.r.written.WithLabelValues("failed").Inc()
		w.r.o.Logger.Warn("a silence could not be written to Alertmanager; it is tried again", "silence", id, "error", err)
	}
}

func (w *writer) put(ctx context.Context, s *tocsin.Silence, was written, there bool) error {
	api, err := translate(s)
	if err != nil {
		return err
	}
	as := fingerprint(&api)
	if there && was.As == as {
		return nil
	}
	if !there {
		if was.ID, err = w.find(ctx, s.ID); err != nil {
			return err
		}
	}
	api.ID = was.ID
	err = w.each(func(c *client) error {
		id, err := c.putSilence(ctx, api)
		var status *statusError
		if api.ID != "" && errors.As(err, &status) && status.status == http.StatusNotFound {
			api.ID = "" // Alertmanager has lost it
			id, err = c.putSilence(ctx, api)
		}
		was.ID = id
		return err
	})
	if err != nil {
		return err
	}
	w.r.written.WithLabelValues("written").Inc()
	return w.keep(ctx, s.ID, &written{was.ID, as})
}

func (w *writer) end(ctx context.Context, id string, was written) error {
	if err := w.each(func(c *client) error { return c.expireSilence(ctx, was.ID) }); err != nil {
		return err
	}
	w.r.written.WithLabelValues("ended").Inc()
	return w.keep(ctx, id, nil)
}

// keep remembers what was written; nil: nothing is there any more.
func (w *writer) keep(ctx context.Context, id string, as *written) error {
	value, err := json.Marshal(as)
	if err != nil {
		return err
	}
	return w.r.o.Store.Update(ctx, func(tx tocsin.Tx) error {
		if as == nil {
			tx.DeleteDocument(Kind, id)
			return nil
		}
		tx.PutDocument(Kind, id, value)
		return nil
	})
}

// find returns the ID of the silence that was written for ours, or "".
func (w *writer) find(ctx context.Context, id string) (string, error) {
	if w.marked == nil {
		var list []apiSilence
		err := w.each(func(c *client) (err error) {
			list, err = c.silences(ctx)
			return err
		})
		if err != nil {
			return "", err
		}
		w.marked = map[string]string{}
		for _, s := range list {
			if at := strings.LastIndex(s.Comment, "[tocsin:"); at >= 0 && (s.Status == nil || s.Status.State != "expired") {
				w.marked[strings.TrimSuffix(s.Comment[at+len("[tocsin:"):], "]")] = s.ID
			}
		}
	}
	return w.marked[id], nil
}

// each tries the peers in turn until one takes it.
func (w *writer) each(do func(*client) error) error {
	var errs []error
	for _, c := range w.clients {
		err := do(c)
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", c.base, err))
	}
	return errors.Join(errs...)
}
