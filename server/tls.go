package server

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// lookEvery is how long a changed certificate may go unnoticed.
const lookEvery = time.Second

// certificates serves TLS with what stands in the files, and reads them again when
// they change. Connections that are open stay as they are. Where the new files do
// not fit together, as while they are being replaced, the old ones stay in force.
type certificates struct {
	files TLS
	log   *slog.Logger
	now   func() time.Time

	mu     sync.Mutex
	config *tls.Config
	// senders are the authorities of those who send alerts.
	senders map[digest]bool
	until   time.Time
	looked  time.Time
	version [3]fileVersion
	failed  string
}

// fileVersion tells a file from what replaces it.
type fileVersion struct {
	modified time.Time
	size     int64
}

func newCertificates(files TLS, log *slog.Logger, now func() time.Time) (*certificates, error) {
	c := &certificates{files: files, log: log, now: now}
	version, err := c.look()
	if err == nil {
		err = c.read(version)
	}
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return c, nil
}

// server is the configuration of the listener.
func (c *certificates) server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return c.current(), nil
	}}
}

// current is what the next connection is served with.
func (c *certificates) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if since := now.Sub(c.looked); since >= 0 && since < lookEvery {
		return c.config
	}
	c.looked = now
	version, err := c.look()
	if err == nil && version == c.version {
		return c.config
	}
	if err == nil {
		err = c.read(version)
	}
	switch {
	case err == nil:
		c.failed = ""
		c.log.Info("the certificate was read again", "file", c.files.CertFile, "valid_until", c.until)
	case err.Error() != c.failed:
		c.failed = err.Error()
		c.log.Error("the certificate has changed and cannot be used; the old one stays", "error", err)
	}
	return c.config
}

func (c *certificates) look() (version [3]fileVersion, err error) {
	for i, name := range []string{c.files.CertFile, c.files.KeyFile, c.files.ClientCAFile} {
		if name == "" {
			continue
		}
		var info fs.FileInfo
		if info, err = os.Stat(name); err != nil {
			return version, err
		}
		version[i] = fileVersion{info.ModTime(), info.Size()}
	}
	return version, nil
}

// read takes the files into force.
func (c *certificates) read(version [3]fileVersion) error {
	pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", c.files.CertFile, c.files.KeyFile, err)
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"},
	}
	var senders map[digest]bool
	if c.files.ClientCAFile != "" {
		text, err := os.ReadFile(c.files.ClientCAFile)
		if err != nil {
			return err
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(text) {
			return errors.New(c.files.ClientCAFile + " holds no certificate as PEM")
		}
		senders = authorities(text)
		config.ClientAuth = tls.VerifyClientCertIfGiven
		// A session that is taken up again would carry on with an authority that is
		// trusted no more.
		config.SessionTicketsDisabled = true
	}
	c.config, c.senders, c.version, c.until = config, senders, version, pair.Leaf.NotAfter
	return nil
}

// authorities are the certificates in PEM.
func authorities(text []byte) map[digest]bool {
	out := map[digest]bool{}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		out[sha256.Sum256(block.Bytes)] = true
	}
	return out
}

// trusts reports whether what a connection has shown when it was made is still worth
// something: its certificates have not ended, and their authority is among those of
// now. A connection may last for months.
func (c *certificates) trusts(shown *tls.ConnectionState) bool {
	c.current()
	c.mu.Lock()
	senders := c.senders
	c.mu.Unlock()
	now := c.now()
	return slices.ContainsFunc(shown.VerifiedChains, func(chain []*x509.Certificate) bool {
		return senders[sha256.Sum256(chain[len(chain)-1].Raw)] &&
			!slices.ContainsFunc(chain, func(x *x509.Certificate) bool { return now.After(x.NotAfter) })
	})
}

// validUntil is when the certificate in force ends.
func (c *certificates) validUntil() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.until
}

func (c *certificates) register(reg prometheus.Registerer) error {
	return reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tocsin_http_certificate_expiry_timestamp_seconds", Help: "When the certificate that is served ends, as a Unix time.",
	}, func() float64 { return float64(c.validUntil().Unix()) }))
}
