package main

import (
	"log/slog"

	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

// openRunbooks reads the runbooks, and makes what keeps them as their folders are.
func (a *App) openRunbooks(cfg *config.Config) error {
	shelf, problems, err := runbooks.NewShelf(cfg.Runbooks.Dirs)
	if err != nil {
		return err
	}
	logProblems(a.log, problems)
	a.shelf = shelf
	a.shelves = runbooks.NewWatch(shelf, runbooks.WatchOptions{
		Every: cfg.Runbooks.ReloadInterval.Std(), Logger: a.log.With("component", "runbooks"), Registerer: a.registry,
	})
	return nil
}

// setRunbooks reads them again, for a configuration that was reloaded.
func (a *App) setRunbooks(cfg *config.Config) error {
	problems, err := a.shelf.Reload(cfg.Runbooks.Dirs)
	if err != nil {
		return err
	}
	logProblems(a.log, problems)
	a.shelves.SetEvery(cfg.Runbooks.ReloadInterval.Std())
	return nil
}

func logProblems(log *slog.Logger, problems []runbooks.Problem) {
	for _, p := range problems {
		log.Warn("a runbook cannot be used", "file", p.File, "line", p.Line, "problem", p.Text)
	}
}
