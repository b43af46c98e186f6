package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	serverReady = 10 * time.Second
	// storeSlack is what JetStream may use on disk beyond the events.
	storeSlack = 64 << 20
)

// startServer starts the in-process server: no listener, no signal handlers. Its
// streams need no fsync: wake-ups hold no truth, and events are written again
// from the store's log.
func startServer(ctx context.Context, cfg Config, log *slog.Logger) (*server.Server, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName:             "tocsin",
		DontListen:             true,
		NoSigs:                 true,
		JetStream:              true,
		StoreDir:               cfg.Dir,
		JetStreamMaxMemory:     2 * wakeMaxBytes,
		JetStreamMaxStore:      cfg.EventsMaxBytes + storeSlack,
		DisableJetStreamBanner: true,
		// Every wake-up and every ack has a subject of its own: the cache of matches
		// would only ever be missed, and costs a tenth of a wake-up.
		NoSublistCache: true,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the embedded NATS server: %w", err)
	}
	logger := &serverLog{log: log}
	srv.SetLoggerV2(logger, false, false, false)
	go srv.Start()
	wait := serverReady
	if until, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(until))
	}
	if srv.ReadyForConnections(wait) && srv.JetStreamEnabled() {
		return srv, nil
	}
	srv.Shutdown()
	srv.WaitForShutdown()
	return nil, fmt.Errorf("start the embedded NATS server in %s within %s: %w",
		cfg.Dir, wait.Round(time.Millisecond), logger.cause())
}

// writable reports whether the disk takes what a server needs at least to start.
// A server that starts on a full disk may take its streams for orphans and wipe
// them (nats-server#5382).
func writable(dir string) error {
	f, err := os.CreateTemp(filepath.Join(dir, "jetstream"), ".room-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(make([]byte, 1<<20))
	return errors.Join(err, f.Sync(), f.Close())
}
