package router

import (
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/tocsin-oncall/tocsin"
)

// Inhibition costs no search: a firing alert that is a source or a target of a
// rule bears index keys, and the store finds alerts by key. A key is made of
// the rule (4 bytes), the values of its equal labels, and in the two lowest
// bits what the alert is to the rule; so a target's key leads to its sources
// without the alert's labels, which are on disk.
//
// An alert that is both source and target of one rule is not inhibited by
// another that is both, as in Alertmanager
// (github.com/prometheus/alertmanager/inhibit): hence two kinds of sources.

type ruleID [4]byte

type inhibitRule struct {
	id             ruleID
	pos            string
	source, target labels.Matchers
	equal          []string
}

func compileInhibit(s InhibitSpec) (*inhibitRule, error) {
	source, err := compileMatchers(s.SourceMatchers, s.Pos)
	if err != nil {
		return nil, err
	}
	target, err := compileMatchers(s.TargetMatchers, s.Pos)
	if err != nil {
		return nil, err
	}
	parts := append([]string{source.String(), target.String()}, s.Equal...)
	sum := tocsin.NewKey(parts...)
	return &inhibitRule{id: ruleID(sum[:4]), pos: s.Pos, source: source, target: target, equal: s.Equal}, nil
}

// role is what an alert is to a rule.
type role byte

const (
	pureSource role = 1
	bothSource role = 2
	anyTarget  role = 3
	roleMask        = 3
)

func roleOf(k tocsin.Key) role { return role(k[15] & roleMask) }

func withRole(k tocsin.Key, r role) tocsin.Key {
	k[15] = k[15]&^roleMask | byte(r)
	return k
}

// base is the key of the rule and the alert's values of its equal labels.
func (r *inhibitRule) base(a *tocsin.Alert) tocsin.Key {
	parts := make([]string, 0, 1+len(r.equal))
	parts = append(parts, a.Source)
	for _, n := range r.equal {
		parts = append(parts, a.Labels[n])
	}
	k := tocsin.NewKey(parts...)
	copy(k[:], r.id[:])
	return k
}

// indexKeys returns the keys that the store should find the alert by. Most
// alerts concern no rule and have none.
func (r *Rules) indexKeys(a *tocsin.Alert) []tocsin.Key {
	var keys []tocsin.Key
	for _, rule := range r.inhibit {
		src, tgt := matches(rule.source, a.Labels), matches(rule.target, a.Labels)
		if !src && !tgt {
			continue
		}
		base := rule.base(a)
		if src && tgt {
			keys = append(keys, withRole(base, bothSource))
		} else if src {
			keys = append(keys, withRole(base, pureSource))
		}
		if tgt {
			keys = append(keys, withRole(base, anyTarget))
		}
	}
	return keys
}

// inhibitedBy returns why an alert is inhibited now, or nil.
func (r *Rules) inhibitedBy(tx tocsin.Tx, s tocsin.AlertState) *tocsin.Suppression {
	for _, k := range s.Index {
		if roleOf(k) != anyTarget {
			continue
		}
		rule := r.inhibitByID[ruleID(k[:4])]
		if rule == nil {
			continue
		}
		roles := []role{pureSource, bothSource}
		if isBoth(s, k) {
			roles = roles[:1]
		}
		for _, role := range roles {
			for source := range tx.Indexed(withRole(k, role)) {
				if source.ID != s.ID {
					return rule.suppression(source)
				}
			}
		}
	}
	return nil
}

func isBoth(s tocsin.AlertState, target tocsin.Key) bool {
	for _, k := range s.Index {
		if k == withRole(target, bothSource) {
			return true
		}
	}
	return false
}

func (r *inhibitRule) suppression(source tocsin.AlertState) *tocsin.Suppression {
	return &tocsin.Suppression{
		Reason: tocsin.Inhibited, By: r.pos, Source: source.ID,
		Text: "inhibited by incident " + source.Incident + ", rule " + r.pos,
	}
}

// targetKeys returns the keys of the alerts that a change of this one may
// inhibit or release.
func targetKeys(s tocsin.AlertState) []tocsin.Key {
	var keys []tocsin.Key
	for _, k := range s.Index {
		if roleOf(k) != anyTarget {
			keys = append(keys, withRole(k, anyTarget))
		}
	}
	return keys
}
