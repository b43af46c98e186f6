package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/runbooks/graph"
	"github.com/tocsin-oncall/tocsin/runbooks/live"
	"github.com/tocsin-oncall/tocsin/server"
)

const (
	// graphSpan is how much of the past a graph shows; graphAfter how much of what
	// came after the end of an incident.
	graphSpan  = time.Hour
	graphAfter = 5 * time.Minute
	// pictureWithin is how long a picture waits for Prometheus before it says that
	// there are no data.
	pictureWithin = 2 * time.Second
	// secretDocuments is the kind of the documents that hold what the server signs
	// with, and secretLinks the ID of that for links to graphs.
	secretDocuments = "server-secret"
	secretLinks     = "graph-links"
	secretWithin    = 10 * time.Second
)

// openLive makes what asks Prometheus, and what shows the answers; without a URL
// nothing is asked.
func (a *App) openLive(cfg *config.Config) (err error) {
	if cfg.Prometheus.URL == "" {
		return nil
	}
	if a.prometheus, err = live.New(live.Config{
		URL: cfg.Prometheus.URL, BearerToken: cfg.Prometheus.BearerToken.Reveal(), Timeout: time.Duration(cfg.Prometheus.Timeout),
		Registerer: a.registry,
	}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), secretWithin)
	defer cancel()
	secret, err := keptSecret(ctx, a.store, secretLinks)
	if err != nil {
		return err
	}
	a.links = server.NewLinks(secret)
	a.clicks.graphs = slack.NewGraphs(slack.GraphsConfig{
		Store: a.store, Draw: a.slackPicture, Logger: a.log.With("component", "slack"), Registerer: a.registry,
	})
	return nil
}

// keptSecret is a secret of the server's own, which is made once for all replicas.
func keptSecret(ctx context.Context, store tocsin.Updater, id string) ([]byte, error) {
	const length = 32
	fresh := make([]byte, length)
	_, _ = rand.Read(fresh) // never fails since Go 1.24
	value, err := json.Marshal(fresh)
	if err != nil {
		return nil, err
	}
	var kept []byte
	if err := store.Update(ctx, func(tx tocsin.Tx) error {
		if kept = tx.Document(secretDocuments, id); kept == nil {
			kept = value
			tx.PutDocument(secretDocuments, id, value)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var secret []byte
	if err := json.Unmarshal(kept, &secret); err != nil || len(secret) != length {
		return nil, fmt.Errorf("the secret %s in the store cannot be read; restore a backup, or start with another storage.path", id)
	}
	return secret, nil
}

// showGraphs has what is sent show graphs, where the configuration wants it.
func (a *App) showGraphs(cfg *config.Config, p parts) {
	p.slack.OnShown(func(s slack.Shown) {
		if g := a.clicks.graphs; g != nil {
			g.Shown(s)
		}
	})
	base := cfg.Server.ExternalURL
	if !cfg.PagerDuty.Images || cfg.Prometheus.URL == "" || !strings.HasPrefix(base, "https://") {
		return
	}
	for _, t := range p.targets {
		if n, ours := t.Notifier.(*pagerduty.Notifier); ours {
			n.ShowImages(func(i *tocsin.Incident) string {
				if a.links == nil {
					return "" // prometheus.url takes effect at the next start
				}
				return base + a.links.Path(i.ID, time.Now())
			})
		}
	}
}

// questions are what is asked of Prometheus about an incident.
func (a *App) questions(ctx context.Context, id string) (*tocsin.Incident, []live.Question, error) {
	inc, err := a.store.Get(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	alerts, err := a.store.AlertsOf(ctx, id, 1)
	if err != nil {
		return nil, nil, err
	}
	var first tocsin.Alert
	if len(alerts) > 0 {
		first = alerts[0].Alert
	}
	return inc, live.Questions(a.filledRunbook(inc.Runbook, first.Labels), first.GeneratorURL), nil
}

// values are what an incident's expressions give now.
func (a *App) values(ctx context.Context, id string) ([]server.LiveValue, error) {
	_, list, err := a.questions(ctx, id)
	if err != nil {
		return nil, err
	}
	asked := live.Ask(ctx, a.prometheus, list)
	out := make([]server.LiveValue, len(asked))
	for n := range asked {
		q := &asked[n]
		v := server.LiveValue{Step: q.Step, Query: q.Query, Text: q.Text, Expr: q.Expr, More: q.More, Value: q.Value, Warning: q.Warning, Why: q.Why}
		for _, s := range q.Series {
			newest := s.Points[len(s.Points)-1]
			v.Series = append(v.Series, server.LiveSeries{Labels: s.Labels, Value: number(newest.Value), At: newest.At})
		}
		if q.Answered && q.Value == "" {
			v.Graph = fmt.Sprintf("/incidents/%s/graph.svg?step=%d&query=%d", url.PathEscape(id), q.Step, q.Query)
		}
		out[n] = v
	}
	return out, nil
}

// number writes a value as Prometheus does.
func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// drawGraph draws what an expression of an incident asks for.
func (a *App) drawGraph(ctx context.Context, id string, step, query int) ([]byte, error) {
	chart, err := a.chart(ctx, id, step, query)
	if err != nil {
		return nil, err
	}
	return chart.SVG(), nil
}

// slackPicture draws what the rule of an incident asks for, where that gives
// something.
func (a *App) slackPicture(ctx context.Context, id string) (slack.Picture, error) {
	chart, err := a.chart(ctx, id, 0, 1)
	if err != nil {
		return slack.Picture{}, err
	}
	if len(chart.Series) == 0 {
		return slack.Picture{}, tocsin.ErrNotFound
	}
	return slack.Picture{PNG: chart.PNG(), Title: chart.Title, Alt: "The last hour of " + chart.Title}, nil
}

// picture draws what the rule of an incident asks for, or that it is not known.
func (a *App) picture(ctx context.Context, id string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, pictureWithin)
	defer cancel()
	chart, err := a.chart(ctx, id, 0, 1)
	if errors.Is(err, tocsin.ErrNotFound) {
		return nil, err
	}
	return chart.PNG(), nil // without an answer it says "no data"
}

// chart asks Prometheus for the last hour of an expression, or for the last one of an
// incident that has ended. With an error, but for tocsin.ErrNotFound, it has all but
// the data.
func (a *App) chart(ctx context.Context, id string, step, query int) (graph.Chart, error) {
	inc, list, err := a.questions(ctx, id)
	q := live.Find(list, step, query)
	if err != nil || q == nil || q.Why() != "" {
		return graph.Chart{}, cmp.Or(err, tocsin.ErrNotFound)
	}
	c := graph.Chart{Title: q.Expr, To: time.Now(), Step: live.Step(graphSpan)}
	if end := inc.ResolvedAt.Add(graphAfter); !inc.Open() && end.Before(c.To) {
		c.To = end
	}
	c.From = c.To.Add(-graphSpan)
	shown, limit, compared := live.Threshold(q.Expr)
	if compared {
		c.Threshold = &limit
	} else {
		shown = q.Expr
	}
	r, err := a.prometheus.Range(ctx, shown, c.From, c.To, c.Step)
	if err != nil {
		return c, err
	}
	c.More = r.Total - len(r.Series)
	for _, s := range r.Series {
		drawn := graph.Series{Name: s.Labels.String()}
		for _, p := range s.Points {
			drawn.Points = append(drawn.Points, graph.Point(p))
		}
		c.Series = append(c.Series, drawn)
	}
	return c, nil
}
