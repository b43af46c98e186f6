package main

import (
	"context"
	"log/slog"
	"regexp"
	"strings"

	"github.com/tocsin-oncall/tocsin/access"
)

// veil keeps the configuration's secrets out of the log, whoever repeats them: a
// provider that sends back what it was sent, an error that holds a URL. Nobody
// should log one in the first place; this is for when somebody does.
type veil struct {
	slog.Handler
	secrets *secrets
}

// Handle implements slog.Handler.
func (h veil) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, h.secrets.hide(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h veil) WithAttrs(attrs []slog.Attr) slog.Handler {
	hidden := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		hidden[i] = h.attr(a)
	}
	return veil{h.Handler.WithAttrs(hidden), h.secrets}
}

// WithGroup implements slog.Handler.
func (h veil) WithGroup(name string) slog.Handler {
	return veil{h.Handler.WithGroup(name), h.secrets}
}

func (h veil) attr(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(h.secrets.hide(a.Value.String()))
	case slog.KindAny:
		// What is written of it is what String says: that is what has to be clean.
		if text := a.Value.String(); h.secrets.hide(text) != text {
			a.Value = slog.StringValue(h.secrets.hide(text))
		}
	case slog.KindGroup:
		var group []slog.Attr
		for _, inner := range a.Value.Group() {
			group = append(group, h.attr(inner))
		}
		a.Value = slog.GroupValue(group...)
	default:
	}
	return a
}

// madeToken is a token that tocsin token create has made.
var madeToken = regexp.MustCompile(`tocsin_[A-Z2-7]{59}`)

// hide replaces the secrets in text.
func (s *secrets) hide(text string) string {
	if strings.Contains(text, access.Prefix) {
		text = madeToken.ReplaceAllString(text, "<secret>")
	}
	if r := s.replace.Load(); r != nil {
		return r.Replace(text)
	}
	return text
}
