package config

import (
	"net/mail"
	"strings"
)

func (c *checker) smtp() {
	s := &c.cfg.SMTP
	c.oneOf(at(&s.TLS, s), "tls", s.TLS, TLSStartTLS, TLSImplicit, TLSNone)
	c.rate(&s.RateLimit, s.RateLimit)
	c.positive(&s.Timeout, "timeout", int64(s.Timeout))
	if s.Port < 1 || s.Port > 65535 {
		c.fail(at(&s.Port), "port: %d is not a port; write 1 to 65535, such as 587", s.Port)
	}
	if !c.given(s) || !c.present(at(&s.Host, s), "host", s.Host) {
		return
	}
	if strings.ContainsAny(s.Host, "/@ ") || strings.Count(s.Host, ":") == 1 {
		c.fail(at(&s.Host), "host: %s is not a name or an address; write smtp.example.com alone, and the port as port", quote(s.Host))
	}
	if c.present(at(&s.From, s), "from", s.From) {
		if _, err := mail.ParseAddress(s.From); err != nil {
			c.fail(at(&s.From), "from: %s is not an e-mail address; write tocsin@example.com", quote(s.From))
		}
	}
	c.login(s)
}

// login refuses half a login, and one that anybody on the way could read.
func (c *checker) login(s *SMTP) {
	switch open := s.TLS == TLSNone && !loopback(s.Host); {
	case s.Username == "" && !s.Password.IsZero():
		c.fail(at(&s.Username, s), "username is missing: a password alone is no login; set it")
	case s.Username != "" && s.Password.IsZero():
		c.fail(at(&s.Password, &s.PasswordFile, s), "password (or password_file) is missing; set it, or remove username")
	case open && !s.Password.IsZero():
		c.fail(at(&s.TLS, s), "tls: without it everybody on the way to %s could read the password; write starttls or implicit", quote(s.Host))
	case open:
		c.warn(at(&s.TLS, s), "tls: without it everybody on the way to %s can read the mail; write starttls or implicit", quote(s.Host))
	}
}

func (c *checker) emailConfigs(r *Receiver) {
	seen := map[string]bool{}
	for i := range r.EmailConfigs {
		e := &r.EmailConfigs[i]
		need(&c.mailUse, "email_configs (receiver "+quote(r.Name)+") need", e)
		if !c.present(at(&e.To, e), "to", e.To) {
			continue
		}
		c.address(at(&e.To), "to", e.To)
		if seen[e.To] {
			c.fail(at(&e.To), "to: %s is in this receiver twice; remove one", quote(e.To))
		}
		seen[e.To] = true
	}
}

// address refuses what is not one bare e-mail address.
func (c *checker) address(fields []any, key, s string) bool {
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s {
		c.fail(fields, "%s: %s is not an e-mail address; write one such as ana@example.com", key, quote(s))
		return false
	}
	return true
}
