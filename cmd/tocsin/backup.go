package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

type backupCmd struct {
	File string `arg:"" help:"Where to write the backup." type:"path"`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (backupCmd) Help() string { return "Example: tocsin backup /var/backups/tocsin.db" }

// Run writes a consistent copy of a running server's store. The file appears
// only once it is whole.
func (c *backupCmd) Run(ctx context.Context, e *env) error {
	copied, err := c.client().Backup(ctx)
	if err != nil {
		return err
	}
	defer copied.Close()
	n, err := writeWhole(c.File, copied)
	if err != nil {
		return fmt.Errorf("writing %s: %w", c.File, err)
	}
	return c.print(e.out, map[string]any{"file": c.File, "bytes": n}, func(w io.Writer) { fmt.Fprintf(w, "%s: %d bytes\n", c.File, n) })
}

func writeWhole(path string, r io.Reader) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".tocsin-backup-")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if n, err = io.Copy(f, r); err != nil {
		return n, err
	}
	if err = f.Sync(); err != nil {
		return n, err
	}
	if err = f.Close(); err != nil {
		return n, err
	}
	return n, os.Rename(f.Name(), path)
}

type restoreCmd struct {
	File   string `arg:"" help:"The backup." type:"existingfile"`
	Config string `name:"config.file" default:"tocsin.yml" help:"The configuration file; it says where the store is." type:"path"`
	Force  bool   `help:"Replace a store that is there."`
	outputFlag
}

// Help is shown by --help.
func (restoreCmd) Help() string { return "Example: tocsin restore /var/backups/tocsin.db --force" }

// Run puts a backup in place. The server must not be running.
func (c *restoreCmd) Run(ctx context.Context, e *env) error {
	cfg, _, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	if err := bolt.Restore(c.File, cfg.Storage.Path, c.Force); err != nil {
		return err
	}
	// The embedded event stream may be ahead of the restored store, and would
	// take new events for ones it has.
	if err := os.RemoveAll(streamDir(cfg)); err != nil {
		return fmt.Errorf("the store is restored, but the old event stream could not be removed: %w", err)
	}
	if err := noteRestored(ctx, cfg.Storage.Path, c.File); err != nil {
		return fmt.Errorf("the store is restored, but its audit log does not say so: %w", err)
	}
	return c.print(e.out, map[string]string{"file": c.File, "path": cfg.Storage.Path}, func(w io.Writer) {
		fmt.Fprintf(w, "%s is now the store in %s\n", c.File, cfg.Storage.Path)
	})
}
