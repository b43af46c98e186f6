package main

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/client"
)

// pageScenes are for the pages: a shift that is handed over, and an alert that is
// silenced, so that nobody hears of it and Why says so.
func pageScenes() []scene {
	return []scene{
		{"ana gives tomorrow's evening to bo: the page On call shows it", handOver("ana", "bo"), handedOver("bo")},
		{"bo silences the warnings of a planned migration, and one comes: nobody hears of it, and its page says why", then(silence("bo", "MigrationLag"), migration), both(incident("MigrationLag", tocsin.Triggered, 1), quiet("MigrationLag"))},
	}
}

// handOver has somebody ask somebody else to take tomorrow's evening.
func handOver(from, to string) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		evening := time.Now().UTC().Truncate(24 * time.Hour).Add(42 * time.Hour)
		_, err := client.New(s.url, client.Options{}).PutOverride(ctx, tocsin.Override{
			Kind: tocsin.OverrideReplace, Schedule: "primary", User: to, Replaces: from, From: evening, To: evening.Add(4 * time.Hour),
			Comment: "a concert", CreatedBy: from,
		})
		return err
	}
}

func handedOver(to string) func(*stage) bool {
	return func(s *stage) bool {
		all, err := client.New(s.url, client.Options{}).Overrides(context.Background())
		return err == nil && slices.ContainsFunc(all, func(o tocsin.Override) bool { return o.User == to && o.Holds() })
	}
}

func silence(by, alert string) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		now := time.Now().UTC()
		_, err := client.New(s.url, client.Options{}).PutSilence(ctx, tocsin.Silence{
			Matchers: []string{"alertname=" + alert},
			StartsAt: now, EndsAt: now.Add(2 * time.Hour), CreatedBy: by, Comment: "the migration of tonight",
		})
		return err
	}
}

func migration(ctx context.Context, s *stage) error {
	return s.post(ctx, fires(map[string]string{
		"alertname": "MigrationLag", "severity": "warning", "region": "eu", "instance": "db-1", "job": "database",
	}, "the copy is 40 s behind"))
}
