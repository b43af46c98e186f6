package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// groupByAll is the group_by that makes an incident of each alert.
const groupByAll = "..."

func (c *checker) routes() {
	r := &c.cfg.Route
	if !c.given(r) {
		c.fail(at(r, c.cfg), "route is missing; write at least route: {receiver: NAME}")
		return
	}
	if r.Receiver == "" {
		c.fail(at(&r.Receiver, r), "the root route needs a receiver: it is who hears of what no other route takes")
	}
	if len(r.Matchers) > 0 {
		c.fail(at(&r.Matchers), "the root route takes every alert and has no matchers; move them to a route below it")
	}
	if r.Continue {
		c.fail(at(&r.Continue), "the root route has no sibling to continue to; remove continue")
	}
	for key, list := range map[string]*[]string{"mute_time_intervals": &r.MuteTimeIntervals, "active_time_intervals": &r.ActiveTimeIntervals} {
		if len(*list) > 0 {
			c.fail(at(list), "the root route cannot have %s: nothing may be left that pages nobody; move them to a route below it", key)
		}
	}
	c.route(r)
}

func (c *checker) route(r *Route) {
	if r.Receiver != "" {
		c.receiver(at(&r.Receiver), r.Receiver)
	}
	c.groupBy(r)
	c.matchers(&r.Matchers, r.Matchers)
	c.intervalNames(&r.MuteTimeIntervals, r.MuteTimeIntervals)
	c.intervalNames(&r.ActiveTimeIntervals, r.ActiveTimeIntervals)
	for i := range r.Routes {
		child := &r.Routes[i]
		c.route(child)
		if len(child.Matchers) == 0 && !child.Continue && i+1 < len(r.Routes) && !c.bad[child] && !c.bad[&child.Matchers] {
			c.warn(at(child), "this route has no matchers and takes every alert: those after it are never reached; move it to the end, or add matchers")
		}
	}
}

// receiver refuses the name of a receiver that does not exist.
func (c *checker) receiver(fields []any, name string) {
	c.usedReceivers[name] = true
	if _, ok := c.receivers[name]; ok || c.bad[&c.cfg.Receivers] {
		return
	}
	c.fail(fields, "receiver %s does not exist; %s", quote(name), knownNames(c, name, c.receivers, "receivers"))
}

// knownNames says what a name that does not exist might have meant. Finding that
// takes time, and nobody reads hundreds of guesses.
func knownNames[T any](c *checker, name string, known map[string]T, section string) string {
	const mostNames, mostGuesses = 1000, 200
	if c.guesses++; len(known) > mostNames || c.guesses > mostGuesses {
		return fmt.Sprintf("add it to %s", section)
	}
	names := slices.Sorted(maps.Keys(known))
	if near, ok := closest(name, names); ok {
		return fmt.Sprintf("did you mean %s?", quote(near))
	}
	if len(names) == 0 || len(names) > 20 {
		return fmt.Sprintf("add it to %s", section)
	}
	for i := range names {
		names[i] = quote(names[i])
	}
	return fmt.Sprintf("add it to %s, which has %s", section, strings.Join(names, ", "))
}

func (c *checker) groupBy(r *Route) {
	if len(r.GroupBy) > 1 && slices.Contains(r.GroupBy, groupByAll) {
		c.fail(at(&r.GroupBy), "group_by: '...' is all labels already; let it stand alone")
		return
	}
	if slices.Equal(r.GroupBy, []string{groupByAll}) {
		return
	}
	c.labelNames(r.GroupBy, "group_by")
}

// labelNames refuses a list with something that is no label name, or twice.
func (c *checker) labelNames(list []string, key string) {
	seen := map[string]bool{}
	for i := range list {
		switch n := list[i]; {
		case n == "" || !utf8.ValidString(n):
			c.fail(at(&list[i]), "%s: %s is not the name of a label; write one, or remove it", key, quote(n))
		case seen[n]:
			c.fail(at(&list[i]), "%s: %s is listed twice; remove one", key, quote(n))
		}
		seen[list[i]] = true
	}
}

func (c *checker) matchers(field any, list []string) {
	for i := range list {
		if c.bad[&list[i]] {
			continue
		}
		m, err := ParseMatchers(list[i : i+1])
		if err == nil && len(m) == 0 {
			c.fail(at(&list[i], field), `this matcher is empty and matches everything; write one such as severity="critical", or remove it`)
		}
		if err != nil {
			c.fail(at(&list[i], field), `%v; write it as name="value", with =, !=, =~ or !~, and the whole in single quotes`, err)
		}
	}
}

func (c *checker) intervalNames(field *[]string, list []string) {
	for i := range list {
		c.usedIntervals[list[i]] = true
		if _, ok := c.intervals[list[i]]; !ok && !c.bad[&c.cfg.TimeIntervals] {
			c.fail(at(&list[i], field), "time interval %s does not exist; %s", quote(list[i]),
				knownNames(c, list[i], c.intervals, "time_intervals"))
		}
	}
}

func (c *checker) inhibitRules() {
	rules := c.cfg.InhibitRules
	names := map[string]string{}
	for i := range rules {
		r := &rules[i]
		if len(r.SourceMatchers) == 0 {
			c.fail(at(&r.SourceMatchers, r), "source_matchers is missing: any alert would inhibit; say which")
		}
		if len(r.TargetMatchers) == 0 {
			c.fail(at(&r.TargetMatchers, r), "target_matchers is missing: every alert would be inhibited; say which")
		}
		c.matchers(&r.SourceMatchers, r.SourceMatchers)
		c.matchers(&r.TargetMatchers, r.TargetMatchers)
		c.labelNames(r.Equal, "equal")
		if r.Name == "" || !c.name(at(&r.Name), "the name of an inhibit rule", r.Name) {
			continue
		}
		if first, twice := names[r.Name]; twice {
			c.fail(at(&r.Name), "inhibit rule %s is given twice, first at %s; rename one", quote(r.Name), first)
		} else {
			names[r.Name] = r.Pos
		}
	}
}

func (c *checker) alarm() {
	a := &c.cfg.Alarm
	if a.Receiver == "" {
		if c.given(a) {
			c.fail(at(&a.Receiver, a), "alarm needs a receiver; set it, or remove alarm")
		}
		return
	}
	c.positive(&a.After, "after", int64(a.After))
	c.receiver(at(&a.Receiver), a.Receiver)
	r, ok := c.receivers[a.Receiver]
	if !ok {
		return
	}
	switch kinds := r.kinds(); {
	case kinds == nil:
		text := "receiver %s pages nobody, and so would the alarm; give it *_configs"
		if r.EscalationPolicy != "" {
			text = "receiver %s has an escalation policy only, which the alarm does not use; give it *_configs"
		}
		c.fail(at(&a.Receiver), text, quote(r.Name))
	case len(kinds) == 1 && kinds[0] != "webhook" && c.othersUse(kinds[0], r):
		c.warn(at(&a.Receiver), "receiver %s uses %[2]s only, as receivers that it watches do: a dead %[2]s would not be told; add another way", quote(r.Name), kinds[0])
	}
}

// othersUse reports whether a receiver besides r, or a person's contacts, use the
// kind of provider.
func (c *checker) othersUse(kind string, r *Receiver) bool {
	for _, o := range c.receivers {
		if o != r && slices.Contains(o.kinds(), kind) {
			return true
		}
	}
	for i := range c.cfg.Users {
		for _, contact := range c.cfg.Users[i].Contacts {
			if strings.EqualFold(contact.By, kind) {
				return true
			}
		}
	}
	return false
}
