package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-oncall/tocsin/config"
)

func TestTheLogHidesSecrets(t *testing.T) {
	t.Parallel()
	a := &App{}
	var b bytes.Buffer
	log := slog.New(veil{slog.NewTextHandler(&b, nil), &a.secrets})
	log.Info("before there are any")
	a.setSecrets(&config.Config{Hidden: []config.Secret{config.NewSecret("hunter2hunter2"), config.NewSecret("s3cr3t")}})
	err := fmt.Errorf("posting to http://x/hunter2hunter2: %w", errors.New("s3cr3t"))
	log.With("url", "http://x/s3cr3t").WithGroup("in").Warn("it said s3cr3t", "error", err, "n", 7, "token", "tocsin_"+strings.Repeat("A2", 29)+"Z", slog.Group("deep", "list", []string{"hunter2hunter2"}))
	assert.NotContains(t, b.String(), "hunter2")
	assert.NotContains(t, b.String(), "s3cr3t")
	for _, left := range []string{`msg="it said <secret>"`, "url=http://x/<secret>", `in.error="posting to http://x/<secret>: <secret>"`, "in.n=7", "in.token=<secret>", "in.deep.list="} {
		assert.Contains(t, b.String(), left)
	}
}
