package server

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

const (
	// amBytes is the most that one list of alerts may have: some 50,000 of the usual
	// size.
	amBytes = 32 << 20
	// amTime is how long the reading may take.
	amTime = 15 * time.Second
	// amLists is how many lists of alerts are made and written at a time; more wait.
	amLists = 4
	// amResolve is for how long an alert is said to fire on: Alertmanager's own
	// default for what says no end.
	amResolve = 5 * time.Minute
)

// amAlert is an alert in Alertmanager's form, all but its status.
type amAlert struct {
	Labels       tocsin.Labels `json:"labels"`
	Annotations  tocsin.Labels `json:"annotations"`
	Receivers    []amName      `json:"receivers"`
	Fingerprint  string        `json:"fingerprint"`
	StartsAt     time.Time     `json:"startsAt"`
	UpdatedAt    time.Time     `json:"updatedAt"`
	EndsAt       time.Time     `json:"endsAt"`
	GeneratorURL string        `json:"generatorURL,omitempty"`
}

// amAlertStatus is what an alert's status says.
type amAlertStatus struct {
	State       string   `json:"state"`
	SilencedBy  []string `json:"silencedBy"`
	InhibitedBy []string `json:"inhibitedBy"`
	MutedBy     []string `json:"mutedBy"`
}

// amPiece is an alert that is encoded already, so that no text is held twice. What
// inhibits it is known when all have been read.
type amPiece struct {
	fingerprint uint64
	// body is an object that is not closed.
	body  []byte
	by    *tocsin.Suppression
	muted string
}

// amGroup is an incident.
type amGroup struct {
	labels    tocsin.Labels
	receivers []string
	pieces    []amPiece
}

// amList is what fires.
type amList struct {
	groups []amGroup
	// known are the fingerprints of all that fires, by the alert's ID.
	known map[tocsin.Key]uint64
	bytes int
}

// amAlerts lists the alerts that fire.
func (s *Server) amAlerts(c echo.Context, _ *tocsin.Principal) error {
	return s.amFiring(c, false, func(w io.Writer, l *amList) error {
		var all []amPiece
		for _, g := range l.groups {
			all = append(all, g.pieces...)
		}
		slices.SortStableFunc(all, func(a, b amPiece) int { return cmp.Compare(a.fingerprint, b.fingerprint) })
		return l.write(w, all)
	})
}

// amGroups lists them by incident, and by receiver, as Alertmanager does: an
// incident of two receivers is two groups.
func (s *Server) amGroups(c echo.Context, _ *tocsin.Principal) error {
	return s.amFiring(c, true, func(w io.Writer, l *amList) error {
		between := "["
		for _, g := range l.groups {
			for _, name := range g.receivers {
				head, err := jsonv1.Marshal(map[string]any{"labels": g.labels, "routeLabels": tocsin.Labels{}, "receiver": amName{name}})
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintf(w, `%s%s,"alerts":`, between, head[:len(head)-1]); err != nil {
					return err
				}
				if err := l.write(w, g.pieces); err != nil {
					return err
				}
				if _, err := io.WriteString(w, "}"); err != nil {
					return err
				}
				between = ","
			}
		}
		if between == "[" {
			_, err := io.WriteString(w, "[]")
			return err
		}
		_, err := io.WriteString(w, "]")
		return err
	})
}

// amFiring reads what fires and has it written. How many do so at a time, and how
// much each may hold, bounds the memory of all.
func (s *Server) amFiring(c echo.Context, narrow bool, write func(io.Writer, *amList) error) error {
	q, err := readQuestion(c)
	if err != nil {
		return err
	}
	q.narrow = narrow
	ctx := c.Request().Context()
	wait, cancel := context.WithTimeout(ctx, s.config.Limits.Wait)
	defer cancel()
	select {
	case s.amRoom <- struct{}{}:
		defer func() { <-s.amRoom }()
	case <-wait.Done():
		return unavailable(nil, "too many lists of alerts are asked for at a time; try again")
	}
	within, stop := context.WithTimeout(ctx, amTime)
	defer stop()
	list, err := s.amRead(within, s.reader(c), q)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	h.Set(echo.HeaderContentType, "application/json")
	c.Response().WriteHeader(http.StatusOK)
	out := bufio.NewWriterSize(c.Response(), 64<<10)
	if write(out, list) == nil {
		_ = out.Flush()
	}
	return nil // what cannot be written has nobody to be told to
}

// amRead reads the alerts of all open incidents, one incident at a time.
func (s *Server) amRead(ctx context.Context, r tocsin.Reader, q *amQuestion) (*amList, error) {
	open, err := r.List(ctx, tocsin.Filter{States: []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}, Limit: listOpen})
	if err != nil {
		return nil, err
	}
	l := &amList{known: map[tocsin.Key]uint64{}}
	for _, inc := range open {
		if inc.Firing == 0 || !q.from(inc.Receivers) {
			continue
		}
		records, err := r.AlertsOf(ctx, inc.ID, int(inc.Firing))
		if err != nil {
			return nil, err
		}
		if err := l.add(q, inc, records, s.deps.Now()); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *amList) add(q *amQuestion, inc *tocsin.Incident, records []tocsin.AlertRecord, now time.Time) error {
	g := amGroup{receivers: q.shown(inc.Receivers)}
	names := make([]amName, len(g.receivers))
	for i, name := range g.receivers {
		names[i].Name = name
	}
	suppressed := true
	for n := range records {
		r := &records[n]
		if !r.State.Firing {
			continue
		}
		if g.labels == nil {
			g.labels = r.Labels.Pick(inc.GroupBy)
		}
		fingerprint := r.Labels.Fingerprint()
		l.known[r.State.ID] = fingerprint
		p := amPiece{fingerprint: fingerprint, by: r.State.Suppression, muted: inc.Muted}
		if !q.lists(&p) || !amMatch(q.filter, r.Labels) {
			continue
		}
		suppressed = suppressed && p.suppressed()
		if err := p.encode(r, names, now); err != nil {
			return err
		}
		if l.bytes += len(p.body); l.bytes > amBytes {
			return invalid("filter", "what fires is more than one answer of %d MiB holds; narrow it down with filter=, such as severity=\"critical\"", amBytes>>20)
		}
		g.pieces = append(g.pieces, p)
	}
	if len(g.pieces) > 0 && (q.muted || !suppressed) {
		l.groups = append(l.groups, g)
	}
	return nil
}

// lists reports whether alerts of this kind are asked for.
func (q *amQuestion) lists(p *amPiece) bool {
	switch {
	case p.is(tocsin.Silenced):
		return q.silenced
	case p.is(tocsin.Inhibited):
		return q.inhibited
	default:
		return q.active || p.suppressed()
	}
}

func (p *amPiece) is(reason string) bool { return p.by != nil && p.by.Reason == reason }
func (p *amPiece) suppressed() bool      { return p.by != nil || p.muted != "" }

// encode writes the alert, and leaves the object open for its status.
func (p *amPiece) encode(r *tocsin.AlertRecord, receivers []amName, now time.Time) error {
	a := amAlert{
		Labels: r.Labels, Annotations: r.Annotations, Receivers: receivers, Fingerprint: fmt.Sprintf("%016x", p.fingerprint),
		StartsAt: r.State.StartsAt.UTC(), UpdatedAt: r.State.SeenAt.UTC(), EndsAt: now.Add(amResolve).UTC(), GeneratorURL: r.GeneratorURL,
	}
	if a.Labels == nil {
		a.Labels = tocsin.Labels{}
	}
	if a.Annotations == nil {
		a.Annotations = tocsin.Labels{}
	}
	body, err := jsonv1.Marshal(a)
	if err != nil {
		return err
	}
	p.body = slices.Clip(body[:len(body)-1])
	return nil
}

// status is what stands for the alert among all that fires.
func (l *amList) status(p *amPiece) amAlertStatus {
	s := amAlertStatus{State: "active", SilencedBy: []string{}, InhibitedBy: []string{}, MutedBy: []string{}}
	if p.muted != "" {
		s.State, s.MutedBy = "suppressed", append(s.MutedBy, p.muted)
	}
	if p.by == nil {
		return s
	}
	s.State = "suppressed"
	switch p.by.Reason {
	case tocsin.Silenced:
		s.SilencedBy = append(s.SilencedBy, p.by.By)
	case tocsin.Inhibited:
		by := p.by.By
		if source, ok := l.known[p.by.Source]; ok {
			by = fmt.Sprintf("%016x", source)
		}
		s.InhibitedBy = append(s.InhibitedBy, by)
	default:
		s.MutedBy = append(s.MutedBy, p.by.By)
	}
	return s
}

// write writes alerts as a JSON array.
func (l *amList) write(w io.Writer, pieces []amPiece) error {
	between := "["
	for i := range pieces {
		status, err := json.Marshal(l.status(&pieces[i]))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, `%s%s,"status":%s}`, between, pieces[i].body, status); err != nil {
			return err
		}
		between = ",\n"
	}
	if between == "[" {
		_, err := io.WriteString(w, "[]")
		return err
	}
	_, err := io.WriteString(w, "]")
	return err
}
