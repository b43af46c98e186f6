package config

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
)

func (c *checker) calendars() {
	a := &c.cfg.Calendars.AllowPrivate
	c.twice(*a, "allow_private")
	for i, text := range *a {
		where := at(&(*a)[i], a)
		p, err := netip.ParsePrefix(text)
		if err == nil {
			c.allowed[p] = true
		}
		switch {
		case err != nil:
			c.fail(where, "allow_private: %s is not a network; write it as 10.0.0.0/8, or 192.168.1.7/32 for one address", quote(text))
		case p != p.Masked():
			c.fail(where, "allow_private: %s is an address within a network; write %s for the network", quote(text), p.Masked())
		case !private(p.Addr()) || p.Bits() < 7:
			c.warn(where, "allow_private: %s is not a private network, and feeds from public ones are read anyway; write the network that the calendars are in", text)
		}
	}
	for i := range c.cfg.TimeOffCalendars {
		t := &c.cfg.TimeOffCalendars[i]
		if t.User == "" {
			c.fail(at(&t.User, t), "user is missing: whose time off it is; set it")
		} else if _, known := c.users[t.User]; !known && !c.bad[&c.cfg.Users] {
			c.fail(at(&t.User), "user %s does not exist; %s", quote(t.User), knownNames(c, t.User, c.users, "users"))
		}
		c.feed(at(&t.URL, &t.URLFile, t), &t.Every, t.URL, t.Every)
	}
}

// private reports whether feeds from an address need leave.
func private(a netip.Addr) bool {
	shared := netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || shared.Contains(a)
}

// feed refuses a URL that is never read. Its text is not repeated.
func (c *checker) feed(where []any, every *Duration, secret Secret, interval Duration) {
	if interval < Duration(time.Minute) {
		c.fail(at(every, where[len(where)-1]), "every: %s is too often for a calendar; write 1m or more", interval)
	}
	raw := secret.Reveal()
	if !c.present(where, "url (or url_file)", raw) {
		return
	}
	if strings.HasPrefix(strings.ToLower(raw), "webcal") {
		c.fail(where, "url must begin with https:// or http://; write https:// in place of webcal://")
		return
	}
	if problem := checkURL(raw, "http", "https"); problem != "" {
		c.fail(where, "url %s; write it as https://host/path", problem)
		return
	}
	c.privateFeed(where, raw)
}

// privateFeed refuses the URL of an address that would be refused later. Names
// are looked up when the feed is read.
func (c *checker) privateFeed(where []any, raw string) {
	u, err := url.Parse(raw)
	if err != nil {
		return
	}
	host := u.Hostname()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !private(ip.Unmap()) && !ip.IsUnspecified() {
		return
	}
	for p := range c.allowed {
		if p.Contains(ip.Unmap()) {
			return
		}
	}
	c.fail(where, "url: its address is a private one, from which feeds are not read; add its network to calendars.allow_private")
}
