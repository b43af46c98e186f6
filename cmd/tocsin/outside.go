package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/escalation/feed"
	"github.com/tocsin-oncall/tocsin/escalation/oncall"
	"github.com/tocsin-oncall/tocsin/escalation/oncall/ical"
	"github.com/tocsin-oncall/tocsin/notifiers/pagerduty"
)

// timeOffID names the feed of a person's absences.
func timeOffID(c *config.TimeOffCalendar, n int) string {
	return fmt.Sprintf("time off/%s/%d", c.User, n)
}

// wireFeeds makes the feeds that a configuration names.
func wireFeeds(cfg *config.Config, log *slog.Logger) []feed.Source {
	fetcher := ical.NewFetcher(ical.FetcherConfig{AllowPrivate: prefixes(cfg.Calendars.AllowPrivate)})
	find := ical.Finder(people(cfg))
	var out []feed.Source
	for i := range cfg.Schedules {
		s := &cfg.Schedules[i]
		for n := range s.Layers {
			l := &s.Layers[n]
			id := layerID(s.Name, l.Name)
			switch {
			case l.Feed != nil:
				out = append(out, calendarSource(fetcher, id, l.Feed.URL.Reveal(), time.Duration(l.Feed.Every), zone(s.TimeZone), find, log))
			case l.PagerDutySchedule != "":
				out = append(out, pagerdutySource(cfg, id, l.PagerDutySchedule, log))
			}
		}
	}
	for i := range cfg.TimeOffCalendars {
		c := &cfg.TimeOffCalendars[i]
		whose := func(ical.Event) (string, bool) { return c.User, true }
		out = append(out, calendarSource(fetcher, timeOffID(c, i), c.URL.Reveal(), time.Duration(c.Every), time.UTC, whose, log))
	}
	return out
}

func prefixes(list []string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		if p, err := netip.ParsePrefix(s); err == nil { // checked by config
			out = append(out, p)
		}
	}
	return out
}

func people(cfg *config.Config) []ical.Person {
	var out []ical.Person
	for i := range cfg.Users {
		out = append(out, ical.Person{User: cfg.Users[i].Name, Email: cfg.Users[i].Email})
	}
	return out
}

func calendarSource(f *ical.Fetcher, id, url string, every time.Duration, loc *time.Location, find func(ical.Event) (string, bool), log *slog.Logger) feed.Source {
	said := sayer{log: log.With("calendar", id)}
	return feed.Source{ID: id, Every: every, Fetch: func(ctx context.Context, from, to time.Time) ([]oncall.Span, error) {
		body, err := f.Fetch(ctx, url)
		if err != nil {
			return nil, err
		}
		return spansOf(body, loc, from, to, find, &said)
	}}
}

// sayer warns of what is left out of a calendar, once for as long as it stays
// the same. It is used by one goroutine at a time.
type sayer struct {
	log  *slog.Logger
	last string
}

func (s *sayer) warn(problems []string) {
	text := strings.Join(problems, "; ")
	if text != "" && text != s.last {
		s.log.Warn("not everything of a calendar can be used", "problems", text)
	}
	s.last = text
}

// spansOf reads a calendar's events as shifts, and says what it leaves out.
func spansOf(body []byte, loc *time.Location, from, to time.Time, find func(ical.Event) (string, bool), said *sayer) ([]oncall.Span, error) {
	cal, err := ical.Read(bytes.NewReader(body), loc, from, to)
	if err != nil {
		return nil, err
	}
	var problems []string
	for _, p := range cal.Problems {
		problems = append(problems, p.Error())
	}
	spans, unknown := ical.Spans(cal.Events, find)
	for _, title := range unknown {
		problems = append(problems, fmt.Sprintf("%q names nobody who is known", title))
	}
	said.warn(problems)
	return spans, nil
}

func pagerdutySource(cfg *config.Config, id, schedule string, log *slog.Logger) feed.Source {
	said := sayer{log: log.With("pagerduty_schedule", schedule)}
	rest := pagerduty.NewREST(pagerduty.RESTConfig{
		Token: cfg.PagerDuty.APIToken.Reveal(), APIURL: cfg.PagerDuty.APIURL, Timeout: time.Duration(cfg.PagerDuty.Timeout),
	})
	users := map[string]string{}
	for i := range cfg.Users {
		if u := &cfg.Users[i]; u.PagerDutyUser != "" {
			users[u.PagerDutyUser] = u.Name
		}
	}
	return feed.Source{ID: id, Every: 5 * time.Minute, Fetch: func(ctx context.Context, from, to time.Time) ([]oncall.Span, error) {
		list, err := rest.OnCalls(ctx, schedule, from, to)
		if err != nil {
			return nil, err
		}
		var spans []oncall.Span
		var unknown []string
		for _, c := range list {
			if name := users[c.UserID]; name != "" {
				spans = append(spans, oncall.Span{User: name, From: c.From, To: c.To})
			} else if line := fmt.Sprintf("%s (%s) is nobody's pagerduty_user", c.UserID, c.UserName); !slices.Contains(unknown, line) {
				unknown = append(unknown, line)
			}
		}
		said.warn(unknown)
		return spans, nil
	}}
}

// calendarSpan is how much of a calendar file is read.
func calendarSpan(now time.Time) (from, to time.Time) {
	return now.AddDate(-1, 0, 0), now.AddDate(3, 0, 0)
}

// readFiles reads the calendar files of a configuration.
func readFiles(cfg *config.Config, now time.Time, log *slog.Logger) (outside, error) {
	out := outside{spans: map[string][]oncall.Span{}, holidays: map[string][]oncall.Date{}}
	from, to := calendarSpan(now)
	for i := range cfg.Schedules {
		s := &cfg.Schedules[i]
		if file := s.Holidays.CalendarFile; file != "" {
			cal, err := readCalendar(file, zone(s.TimeZone), from, to)
			if err != nil {
				return out, fmt.Errorf("%s: holidays: %w", s.Pos, err)
			}
			out.holidays[s.Name] = ical.Dates(cal.Events)
		}
		for n := range s.Layers {
			l := &s.Layers[n]
			if l.CalendarFile == "" {
				continue
			}
			body, err := os.ReadFile(l.CalendarFile)
			if err == nil {
				out.spans[layerID(s.Name, l.Name)], err = spansOf(body, zone(s.TimeZone), from, to, ical.Finder(people(cfg)), &sayer{log: log.With("calendar", l.CalendarFile)})
			}
			if err != nil {
				return out, fmt.Errorf("%s: %w", l.Pos, err)
			}
		}
	}
	return out, nil
}

// withFeeds adds what the feeds last said to what the files say.
func (o outside) withFeeds(cfg *config.Config, spans func(id string) []oncall.Span) outside {
	out := outside{spans: maps.Clone(o.spans), holidays: o.holidays}
	for i := range cfg.Schedules {
		s := &cfg.Schedules[i]
		for n := range s.Layers {
			if l := &s.Layers[n]; l.Rotation == nil && l.CalendarFile == "" {
				id := layerID(s.Name, l.Name)
				out.spans[id] = spans(id)
			}
		}
	}
	for i := range cfg.TimeOffCalendars {
		c := &cfg.TimeOffCalendars[i]
		for n, sp := range spans(timeOffID(c, i)) {
			out.timeOff = append(out.timeOff, tocsin.Override{
				ID: fmt.Sprintf("calendar-%s-%d", c.User, n), Kind: tocsin.OverrideTimeOff, User: c.User,
				From: sp.From, To: sp.To, State: tocsin.OverrideActive, Comment: "from the calendar of absences", CreatedBy: "calendar",
			})
		}
	}
	return out
}

func readCalendar(file string, loc *time.Location, from, to time.Time) (ical.Calendar, error) {
	f, err := os.Open(file)
	if err != nil {
		return ical.Calendar{}, err
	}
	defer f.Close()
	return ical.Read(f, loc, from, to)
}

// verifyOffline proves the coverage of a configuration, without the overrides
// that a server knows of and what feeds say.
func verifyOffline(path string, from, to time.Time) ([]tocsin.Uncovered, error) {
	cfg, _, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	p, err := wire(cfg)
	if err != nil {
		return nil, err
	}
	out, err := readFiles(cfg, time.Now(), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	rules, err := wireEscalation(cfg, p.byReceiver, out)
	if err != nil {
		return nil, err
	}
	return rules.Coverage(out.timeOff, from, to), nil
}
