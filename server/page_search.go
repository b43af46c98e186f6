package server

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	tocsin "github.com/tocsin-oncall/tocsin"
)

type matcher = labels.Matcher

const (
	// maxQuestion is the longest list of matchers, in bytes.
	maxQuestion = 1 << 10
	// searchAlerts is how many alerts of an incident are looked at, the ones that fire
	// first: an incident of 50,000 is found by what most of them share.
	searchAlerts = 50
	// searchTime is how long a search may take before it shows what it has.
	searchTime = 2 * time.Second
	// searchKept is the most label sets that are remembered between searches.
	searchKept = 20_000
)

// parseQuestion reads matchers in Alertmanager's syntax: severity="critical", or
// several in braces or with commas.
func parseQuestion(text string) ([]*matcher, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxQuestion {
		return nil, fmt.Errorf("longer than %d bytes", maxQuestion)
	}
	if err := tocsin.CheckMatchers("matchers", text); err != nil {
		return nil, refusalOf(err)
	}
	return parse.Matchers(text)
}

// matchAll reports whether one set of labels fits all of the matchers.
func matchAll(ms []*matcher, l tocsin.Labels) bool {
	for _, m := range ms {
		if !m.Matches(l[m.Name]) {
			return false
		}
	}
	return true
}

// matchAny reports whether one of an incident's alerts fits. An incident without
// alerts has no labels.
func matchAny(ms []*matcher, sets []tocsin.Labels) bool {
	if len(sets) == 0 {
		return matchAll(ms, nil)
	}
	return slices.ContainsFunc(sets, func(l tocsin.Labels) bool { return matchAll(ms, l) })
}

// search returns the incidents of which an alert fits the matchers. looked is how
// many it has looked at, where time did not allow for all; otherwise 0.
func (s *Server) search(ctx context.Context, r tocsin.Reader, list []*tocsin.Incident, ms []*matcher) (found []*tocsin.Incident, looked int, err error) {
	end := time.Now().Add(searchTime)
	for n, i := range list {
		if time.Now().After(end) {
			return found, n, nil
		}
		sets, err := s.found.of(ctx, r, i)
		if err != nil {
			return nil, 0, err
		}
		if matchAny(ms, sets) {
			found = append(found, i)
		}
	}
	return found, 0, nil
}

// labelSets remembers the labels of incidents' alerts between searches, as long as
// there is room and no alert has come.
type labelSets struct {
	mu    sync.Mutex
	known map[string]knownSets
	held  int
}

type knownSets struct {
	alerts, firing uint32
	sets           []tocsin.Labels
}

// of returns the labels of an incident's first alerts.
func (l *labelSets) of(ctx context.Context, r tocsin.Reader, i *tocsin.Incident) ([]tocsin.Labels, error) {
	if i.Alerts == 0 {
		return nil, nil
	}
	l.mu.Lock()
	k, ok := l.known[i.ID]
	l.mu.Unlock()
	if ok && k.alerts == i.Alerts && k.firing == i.Firing {
		return k.sets, nil
	}
	records, err := r.AlertsOf(ctx, i.ID, searchAlerts)
	if err != nil {
		return nil, err
	}
	sets := make([]tocsin.Labels, len(records))
	for n := range records {
		sets[n] = records[n].Labels
	}
	l.keep(i, knownSets{i.Alerts, i.Firing, sets})
	return sets, nil
}

func (l *labelSets) keep(i *tocsin.Incident, k knownSets) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held += len(k.sets) - len(l.known[i.ID].sets)
	if l.known == nil || l.held > searchKept {
		l.known, l.held = map[string]knownSets{}, len(k.sets)
	}
	l.known[i.ID] = k
}
