package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Bounds on the rules of an answer.
const (
	// MaxRulesBody is the largest answer that is read, in bytes, unpacked.
	MaxRulesBody = 16 << 20
	// MaxRules is how many rules are kept.
	MaxRules = 10_000
	// maxName is the longest name that is kept, in bytes.
	maxName = 1 << 10
)

// Rules are the alerting rules that Prometheus has loaded. Texts in them are whatever
// Prometheus holds: escape them at every output.
type Rules struct {
	// Rules are in Prometheus' order, at most MaxRules.
	Rules []Rule
	// Total counts those that were not kept, too.
	Total int
	// Warnings of Prometheus: the answer may not be whole. One line each.
	Warnings []string
}

// Rule is an alerting rule, with what decides about its runbook.
type Rule struct {
	// File is the path of its file where Prometheus runs, and Group its group there.
	// What answers for Prometheus may have other names for both.
	File, Group string
	// Name is the alert's.
	Name string
	// Labels are the rule's: they may be templates, and its series bring more.
	Labels tocsin.Labels
	// RunbookURL is the annotation; empty: there is none.
	RunbookURL string
}

// Rules asks for the alerting rules that are loaded, whether or not they fire
// (https://prometheus.io/docs/prometheus/latest/querying/api/#rules). Every failure
// satisfies errors.Is(err, tocsin.ErrUnavailable), but for that of ctx, which comes
// back as it is, and for what Prometheus refuses, which is an *Error.
func (c *Client) Rules(ctx context.Context) (Rules, error) {
	const kind = "rules"
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-limited.Done():
		c.metrics.failed(kind)
		return Rules{}, c.late(ctx, fmt.Errorf("there were %d questions to %s before this one", inFlight, c.host))
	}
	start := time.Now()
	r, err := c.askRules(limited)
	c.metrics.asked(kind, time.Since(start), err)
	if said := (*Error)(nil); err != nil && limited.Err() != nil && !errors.As(err, &said) {
		err = c.late(ctx, fmt.Errorf("%s did not answer in time", c.host))
	}
	return r, err
}

func (c *Client) askRules(ctx context.Context) (Rules, error) {
	// Without what fires, which may be much more than the rules. An old Prometheus
	// sends it all the same (prometheus/prometheus#12999).
	form := url.Values{"type": {"alert"}, "exclude_alerts": {"true"}}
	status, body, err := c.send(ctx, http.MethodGet, "rules", form, MaxRulesBody)
	if err != nil {
		return Rules{}, err
	}
	e, err := c.open(status, body)
	if err != nil {
		return Rules{}, err
	}
	r, err := decodeRules(e.Data)
	if err != nil {
		return Rules{}, c.unreadable(status, err)
	}
	r.Warnings = c.warnings(&e)
	return r, nil
}

// wireGroup is a group of rules as the API has it.
type wireGroup struct {
	Name  string `json:"name"`
	File  string `json:"file"`
	Rules []struct {
		Type        string        `json:"type"`
		Name        string        `json:"name"`
		Labels      tocsin.Labels `json:"labels"`
		Annotations struct {
			RunbookURL string `json:"runbook_url"`
		} `json:"annotations"`
	} `json:"rules"`
}

func decodeRules(data json.RawMessage) (out Rules, err error) {
	var d struct {
		Groups *[]wireGroup `json:"groups"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return out, err
	}
	if d.Groups == nil {
		return out, errors.New("it has no list of groups")
	}
	for _, g := range *d.Groups {
		for _, r := range g.Rules {
			if r.Type != "alerting" || r.Name == "" {
				continue
			}
			if out.Total++; len(out.Rules) < MaxRules {
				out.Rules = append(out.Rules, Rule{shorten(g.File), shorten(g.Name), shorten(r.Name), r.Labels, r.Annotations.RunbookURL})
			}
		}
	}
	return out, nil
}

// shorten copies a name, so that it does not keep the answer in memory.
func shorten(s string) string {
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "") + "…"
	}
	return strings.Clone(s)
}
