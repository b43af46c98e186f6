package config

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	sha256Hex     = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
	parameterName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	placeholder   = regexp.MustCompile(`\{\{(.*?)\}\}`)
	variableName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

func (c *checker) prometheus() {
	p := &c.cfg.Prometheus
	if p.URL != "" {
		c.httpURL(at(&p.URL), "url", p.URL)
	} else if !p.BearerToken.IsZero() {
		c.fail(at(&p.BearerToken), "bearer_token means nothing without url; set it, or remove this")
	}
	c.positive(&p.Timeout, "timeout", int64(p.Timeout))
}

func (c *checker) remediations() {
	places := map[string]string{}
	for i := range c.cfg.Remediations {
		r := &c.cfg.Remediations[i]
		if c.unique(at(&r.Name, r), "remedy", r.Name, r.Pos, places) {
			c.pathName(at(&r.Name), "remedy", r.Name)
		}
		if r.Name == "all" {
			c.fail(at(&r.Name), "remedy all: the name stands for all remedies when they are stopped; choose another")
		}
		c.remedy(r)
	}
}

func (c *checker) remedy(r *Remediation) {
	known := c.parameters(r)
	c.command(at(&r.Command, r), "command", r.Command, r.SHA256, known)
	if r.Target != "" && !slices.Contains(known, r.Target) {
		c.fail(at(&r.Target), "target: %s is no parameter; name one of parameters", quote(r.Target))
	}
	c.oneOf(at(&r.Stdin), "stdin", r.Stdin, "none", "json")
	c.oneOf(at(&r.Mode), "mode", r.Mode, ModeSuggest, ModeApprove, ModeAuto)
	for i := range r.Environment {
		c.variable(at(&r.Environment[i], &r.Environment), r.Environment[i])
	}
	c.positive(&r.Timeout, "timeout", int64(r.Timeout))
	c.positive(&r.ApprovalExpiry, "approval_expiry", int64(r.ApprovalExpiry))
	if len(r.Matchers) == 0 && !c.bad[&r.Matchers] {
		c.fail(at(&r.Matchers, r), "matchers is missing: the remedy would be for every alert; say for which")
	}
	c.matchers(&r.Matchers, r.Matchers)
	c.userNames(r.Approvers)
	c.twice(r.Approvers, "approvers")
	if r.TwoPerson && len(r.Approvers) == 1 {
		c.fail(at(&r.TwoPerson), "two_person: one approver cannot be two people; name more approvers")
	}
	if r.Mode == ModeAuto && (r.TwoPerson || len(r.Approvers) > 0) {
		c.warn(at(&r.Mode), "mode: auto asks nobody, so approvers and two_person mean nothing; remove them, or write approve")
	}
	c.contract(r, known)
	c.sandbox(&r.Sandbox)
}

// parameters returns the names of those that are sound.
func (c *checker) parameters(r *Remediation) []string {
	var known []string
	for i := range r.Parameters {
		p := &r.Parameters[i]
		where := at(&p.Name, p)
		switch {
		case !parameterName.MatchString(p.Name):
			c.fail(where, "parameter %s: a name is small letters, digits and _, such as node", quote(p.Name))
		case slices.Contains(known, p.Name):
			c.fail(where, "parameter %s is given twice; rename one", quote(p.Name))
		default:
			known = append(known, p.Name)
		}
		if _, err := regexp.Compile(p.Pattern); err != nil {
			c.fail(at(&p.Pattern, p), "pattern: %v; write it as RE2 does: https://github.com/google/re2/wiki/Syntax", err)
		}
	}
	return known
}

// command checks what is run: a file that is named whole, and pinned.
func (c *checker) command(where []any, key string, argv []string, sum string, known []string) {
	if len(argv) == 0 {
		c.fail(where, "%s is missing; write [/path/of/a/script, argument, …]", key)
		return
	}
	if !filepath.IsAbs(argv[0]) || placeholder.MatchString(argv[0]) || filepath.Clean(argv[0]) != argv[0] {
		c.fail(where, "%s: %s is not the path of a file; the first word is an absolute path, and alerts fill in nothing of it", key, quote(argv[0]))
	}
	if shells := []string{"sh", "bash", "dash", "zsh", "ash", "ksh", "fish", "busybox", "env"}; slices.Contains(shells, filepath.Base(argv[0])) {
		c.fail(where, "%s: %s reads its arguments as a program; name the script itself, which begins with #!", key, quote(argv[0]))
	}
	c.placeholders(where, key, strings.Join(argv[1:], "\n"), known)
	if !sha256Hex.MatchString(sum) {
		c.fail(where, "sha256 of the %s: want 64 hex digits; sha256sum %s prints them", key, argv[0])
	}
}

func (c *checker) placeholders(where []any, key, text string, known []string) {
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(known, m[1]) {
			c.fail(where, "%s: {{%s}} is no parameter; add it to parameters", key, m[1])
		}
	}
}

func (c *checker) variable(where []any, text string) {
	name, _, cut := strings.Cut(text, "=")
	switch {
	case !cut || !variableName.MatchString(name):
		c.fail(where, "environment: %s is not NAME=value", quote(name))
	case placeholder.MatchString(text):
		c.fail(where, "environment: %s: alerts fill in nothing of the environment; use a parameter in command, or stdin: json", name)
	}
}

func (c *checker) contract(r *Remediation, known []string) {
	k := &r.Contract
	c.check(at(&k.Precheck, r), "precheck", &k.Precheck, known)
	c.check(at(&k.Verify, r), "verify", &k.Verify, known)
	c.positive(&k.Verify.Within, "within", int64(k.Verify.Within))
	c.positive(&k.Verify.Every, "every", int64(k.Verify.Every))
	if len(k.Rollback.Command) > 0 {
		c.command(at(&k.Rollback.Command, &k.Rollback), "rollback", k.Rollback.Command, k.Rollback.SHA256, known)
		if k.Verify.PromQL == "" && len(k.Verify.Command) == 0 {
			c.warn(at(&k.Rollback, r), "rollback without verify runs only when the remedy itself fails; add verify")
		}
	}
	c.positive(&k.Rollback.Timeout, "timeout", int64(k.Rollback.Timeout))
	f := &k.Budget.Fleet
	switch {
	case f.Runs > 0 && f.Percent > 0:
		c.fail(at(f), "fleet: runs and percent are both set; keep one")
	case f.Percent < 0 || f.Percent > 100:
		c.fail(at(&f.Percent), "percent: want 0 to 100")
	case f.Percent > 0 && f.Of == "":
		c.fail(at(&f.Percent), "percent: of how many? Set of, such as count(up{job=\"node\"})")
	}
	if f.Of != "" && c.cfg.Prometheus.URL == "" {
		c.fail(at(&f.Of), "of asks Prometheus; set prometheus.url")
	}
	for field, n := range map[*int]int{&f.Runs: f.Runs, &k.Budget.PerTarget.Runs: k.Budget.PerTarget.Runs, &k.Breaker.Runs: k.Breaker.Runs} {
		if n < 0 {
			c.fail(at(field), "runs must not be negative; write 0 for any number")
		}
	}
	c.positive(&f.In, "in", int64(f.In))
	c.positive(&k.Budget.PerTarget.In, "in", int64(k.Budget.PerTarget.In))
	c.positive(&k.Breaker.In, "in", int64(k.Breaker.In))
	if k.Cooldown < 0 {
		c.fail(at(&k.Cooldown), "cooldown must not be negative; write 0 for none")
	}
	if r.Mode == ModeAuto && k.Verify.PromQL == "" && len(k.Verify.Command) == 0 {
		c.warn(at(&r.Mode), "mode: auto without verify: nothing would tell whether it helps; add contract.verify")
	}
}

// check is a question: nobody's, Prometheus', or a command's.
func (c *checker) check(where []any, key string, k *Check, known []string) {
	switch {
	case k.PromQL != "" && len(k.Command) > 0:
		c.fail(where, "%s: promql and command are both set; keep one", key)
	case k.PromQL != "":
		c.placeholders(where, key, k.PromQL, known)
		if c.cfg.Prometheus.URL == "" {
			c.fail(where, "%s asks Prometheus; set prometheus.url", key)
		}
	case len(k.Command) > 0:
		c.command(where, key, k.Command, k.SHA256, known)
	}
}

func (c *checker) sandbox(s *Sandbox) {
	c.oneOf(at(&s.Require), "require", s.Require, "landlock", "none")
	for key, list := range map[string][]string{"read": s.Read, "write": s.Write} {
		for i := range list {
			if !filepath.IsAbs(list[i]) || filepath.Clean(list[i]) == "/" {
				c.fail(at(&list[i], s), "%s: %s; write absolute paths, and not /", key, quote(list[i]))
			}
		}
	}
	for i, port := range s.Connect {
		if port < 1 || port > 65535 {
			c.fail(at(&s.Connect[i], s), "connect: %d is no port", port)
		}
	}
	c.positive(&s.Memory, "memory", int64(s.Memory))
	c.positive(&s.CPU, "cpu", int64(s.CPU))
	c.positive(&s.Processes, "processes", int64(s.Processes))
	c.positive(&s.FileSize, "file_size", int64(s.FileSize))
}
