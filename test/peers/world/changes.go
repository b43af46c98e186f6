package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

// mostChanges bounds the events that are looked through.
const mostChanges = 100_000

// changes returns the change events in Tocsin's event stream, which its API gives
// away in a backup alone: they are about no incident.
func (p *process) changes(ctx context.Context) (texts []string, err error) {
	dir, err := os.MkdirTemp(p.dir, "backup-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := p.backup(ctx, filepath.Join(dir, bolt.FileName)); err != nil {
		return nil, err
	}
	store, err := bolt.Open(dir, bolt.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	events, err := store.Log(ctx, 0, mostChanges)
	for i := range events {
		if events[i].Kind == tocsin.EventChange {
			texts = append(texts, events[i].Text)
		}
	}
	return texts, err
}

func (p *process) backup(ctx context.Context, to string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/backup", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the backup: HTTP %d", resp.StatusCode)
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}
