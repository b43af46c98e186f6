package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

type serveCmd struct {
	Config string `name:"config.file" default:"tocsin.yml" help:"The configuration file." type:"path"`
	Level  string `name:"log.level" default:"info" enum:"debug,info,warn,error" help:"What to log: ${enum}."`
	Format string `name:"log.format" default:"table" enum:"table,json" help:"How to log: ${enum}."`
}

// Help is shown by --help.
func (serveCmd) Help() string { return "Example: tocsin serve --config.file /etc/tocsin/tocsin.yml" }

// Run serves until it is told to stop. SIGHUP reloads the configuration.
func (c *serveCmd) Run(ctx context.Context, e *env) error {
	log, err := newLogger(e.err, c.Level, c.Format)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go tuneMemory(ctx)
	app, err := NewApp(ctx, c.Config, log)
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				_ = app.Reload(ctx) // logged by Reload
			}
		}
	}()
	app.sayWhoMayComeIn()
	log.Info("tocsin is listening", "version", version, "address", app.Addr())
	return errors.Join(app.Run(ctx), app.Close())
}
