package config

import "github.com/tocsin-oncall/tocsin"

func (c *checker) statusPage() {
	p := &c.cfg.StatusPage
	if len(p.Components) == 0 {
		if c.given(p) && !c.bad[&p.Components] {
			c.fail(at(&p.Components, p), "components is missing: there is nothing to show; list them, or remove status_page")
		}
		return
	}
	seen := map[string]bool{}
	for i := range p.Components {
		s := &p.Components[i]
		switch {
		case c.bad[&s.Name]:
		case s.Name == "":
			c.fail(at(&s.Name, s), "the name of a component is missing; give it one that others know it by")
		case seen[s.Name]:
			c.fail(at(&s.Name, s), "component %s is given twice; rename one", quote(s.Name))
		}
		seen[s.Name] = true
		if len(s.Matchers) == 0 && !c.bad[&s.Matchers] {
			c.fail(at(&s.Matchers, s), "matchers is missing: every alert would tell of component %s; write those that do", quote(s.Name))
		}
		c.matchers(&s.Matchers, s.Matchers)
		known := true
		for _, f := range []struct {
			key   string
			value *tocsin.Severity
		}{{"degraded", &s.Degraded}, {"down", &s.Down}} {
			if f.value.Rank() == 0 {
				known = false
				c.fail(at(f.value, s), "%s: %s is unknown; write critical, error, warning or info", f.key, quote(string(*f.value)))
			}
		}
		if known && s.Degraded.Rank() > s.Down.Rank() {
			c.fail(at(&s.Degraded, s), "degraded (%s) is worse than down (%s); swap them", s.Degraded, s.Down)
		}
	}
}
