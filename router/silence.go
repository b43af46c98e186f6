package router

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/tocsin-oncall/tocsin"
)

// silencer knows the silences that hold at one instant.
type silencer []activeSilence

type activeSilence struct {
	matchers labels.Matchers
	why      *tocsin.Suppression
}

// silencedBy returns the first active silence that matches, or nil.
func (s silencer) silencedBy(a *tocsin.Alert) *tocsin.Suppression {
	for i := range s {
		if matches(s[i].matchers, a.Labels) {
			return s[i].why
		}
	}
	return nil
}

// matcherCache remembers compiled matchers by their text. The zero value is
// ready; it is safe for concurrent use. It holds what the active silences need, and
// for a while what those need that were.
type matcherCache struct {
	compiled sync.Map
	held     atomic.Int64
}

// spareMatchers is how many silences' matchers are held beside twice those of the
// active ones, before all are forgotten.
const spareMatchers = 128

func (c *matcherCache) matchers(texts []string) labels.Matchers {
	key := strings.Join(texts, "\x00")
	if ms, ok := c.compiled.Load(key); ok {
		return ms.(labels.Matchers)
	}
	ms, err := ParseMatchers(texts)
	if err != nil {
		ms = nil // refused when the silence was made; one that slipped in matches nothing
	}
	if _, known := c.compiled.Swap(key, ms); !known {
		c.held.Add(1)
	}
	return ms
}

// tidy forgets everything where most of it is of silences that are over.
func (c *matcherCache) tidy(active int) {
	if c.held.Load() > int64(2*active+spareMatchers) {
		c.compiled.Clear()
		c.held.Store(0)
	}
}

// active returns the silences that hold at now. One without matchers holds
// nothing back.
func (c *matcherCache) active(all []tocsin.Silence, now time.Time) silencer {
	var out silencer
	defer func() { c.tidy(len(out)) }()
	for i := range all {
		s := &all[i]
		if !s.Active(now) {
			continue
		}
		ms := c.matchers(s.Matchers)
		if len(ms) == 0 {
			continue
		}
		out = append(out, activeSilence{matchers: ms, why: &tocsin.Suppression{
			Reason: tocsin.Silenced, By: s.ID,
			Text: fmt.Sprintf("silenced until %s by %s (silence %s: %s)",
				s.EndsAt.UTC().Format("2006-01-02 15:04 MST"), s.CreatedBy, s.ID, s.Comment),
		}})
	}
	return out
}

// checkSilence refuses a silence that can never be right.
func checkSilence(s tocsin.Silence, now time.Time) error {
	if err := tocsin.CheckMatchers("matchers", s.Matchers...); err != nil {
		return err
	}
	ms, err := ParseMatchers(s.Matchers)
	if err != nil {
		return err
	}
	switch {
	case len(ms) == 0:
		return tocsin.Invalid("matchers", "at least one is needed; a silence without matchers would hide everything")
	case matches(ms, nil):
		return tocsin.Invalid("matchers", "they match an alert without labels, so they would hide everything; name a value")
	case s.CreatedBy == "":
		return tocsin.Invalid("createdBy", "say who makes the silence")
	case s.Comment == "":
		return tocsin.Invalid("comment", "say why")
	case !s.EndsAt.After(now):
		return tocsin.Invalid("endsAt", "%s is in the past", s.EndsAt.Format(time.RFC3339))
	case !s.EndsAt.After(s.StartsAt):
		return tocsin.Invalid("endsAt", "must be after startsAt")
	}
	return nil
}
