package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// serverLog passes the embedded server's warnings and errors on, and keeps the
// last one as the cause of a failed start. Fatalf does not end the process.
type serverLog struct {
	log *slog.Logger

	mu   sync.Mutex
	last string
}

func (l *serverLog) keep(format string, v []any) string {
	text := fmt.Sprintf(format, v...)
	l.mu.Lock()
	l.last = text
	l.mu.Unlock()
	return text
}

// cause is the last error that the server told.
func (l *serverLog) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" {
		return errors.New("it gave no reason")
	}
	return errors.New(l.last)
}

// Noticef is left out: it tells of every stream at every start.
func (l *serverLog) Noticef(string, ...any) {}

// Warnf logs a warning.
func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("embedded NATS warns", "text", fmt.Sprintf(format, v...))
}

// Errorf logs an error.
func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Error("embedded NATS failed", "text", l.keep(format, v))
}

// Fatalf logs an error; the supervisor decides what to do about it.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.log.Error("embedded NATS failed", "text", l.keep(format, v))
}

// Debugf is never called: debugging is off.
func (l *serverLog) Debugf(string, ...any) {}

// Tracef is never called: tracing is off.
func (l *serverLog) Tracef(string, ...any) {}
