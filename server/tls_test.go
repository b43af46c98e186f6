package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/server"
)

// authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.pool.AddCert(a.cert)
	return a
}

// issue writes a certificate of that serial number, and its key.
func (a *authority) issue(serial int64, certFile, keyFile string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "tocsin"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, &key.PublicKey, a.key)
	require.NoError(a.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	a.write(certFile, "CERTIFICATE", der)
	a.write(keyFile, "PRIVATE KEY", private)
}

func (a *authority) write(file, kind string, der []byte) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// tlsWorld serves HTTPS.
type tlsWorld struct {
	*world
	servers, senders *authority
	files            server.TLS
}

func newTLSWorld(t *testing.T, c server.Config) *tlsWorld {
	t.Helper()
	dir := t.TempDir()
	w := &tlsWorld{servers: newAuthority(t, "servers"), senders: newAuthority(t, "senders"), files: server.TLS{
		CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), ClientCAFile: filepath.Join(dir, "senders.pem"),
	}}
	w.servers.issue(7, w.files.CertFile, w.files.KeyFile)
	w.senders.write(w.files.ClientCAFile, "CERTIFICATE", w.senders.cert.Raw)
	c.TLS = w.files
	w.world, _, _ = guarded(t, c)
	w.run(t)
	return w
}

// client is one with connections of its own; by, unless nil, certifies it.
func (w *tlsWorld) client(by *authority) *http.Client {
	c := &tls.Config{RootCAs: w.servers.pool, MinVersion: tls.VersionTLS12}
	if by != nil {
		dir := w.t.TempDir()
		by.issue(9, dir+"/cert.pem", dir+"/key.pem")
		pair, err := tls.LoadX509KeyPair(dir+"/cert.pem", dir+"/key.pem")
		require.NoError(w.t, err)
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// get returns the serial number of the certificate that answered.
func (w *tlsWorld) get(c *http.Client) (serial int64, protocol string) {
	w.t.Helper()
	resp, err := c.Get("https://" + w.Addr() + "/-/healthy")
	require.NoError(w.t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(w.t, err)
	return resp.TLS.PeerCertificates[0].SerialNumber.Int64(), resp.Proto
}

func TestTLS(t *testing.T) {
	t.Parallel()
	w := newTLSWorld(t, server.Config{})
	open := w.client(nil)
	serial, protocol := w.get(open)
	assert.Equal(t, int64(7), serial)
	assert.Equal(t, "HTTP/2.0", protocol)
	assert.Greater(t, w.metric(t, "tocsin_http_certificate_expiry_timestamp_seconds"), float64(time.Now().Unix()))
	plain, err := http.Get(w.url("/-/healthy"))
	require.NoError(t, err)
	defer plain.Body.Close()
	assert.Equal(t, 400, plain.StatusCode, "plain HTTP")
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.servers.pool, MaxVersion: tls.VersionTLS11}}} //nolint:gosec // it is refused
	_, err = old.Get("https://" + w.Addr() + "/-/healthy")
	require.Error(t, err, "TLS 1.1")

	w.servers.issue(8, w.files.CertFile, w.files.KeyFile)
	require.Eventually(t, func() bool {
		serial, _ := w.get(w.client(nil))
		return serial == 8
	}, 20*time.Second, 100*time.Millisecond, "the new certificate is served")
	serial, _ = w.get(open)
	assert.Equal(t, int64(7), serial, "the connection that was open is open")

	require.NoError(t, os.WriteFile(w.files.KeyFile, []byte("half a k"), 0o600))
	require.Eventually(t, func() bool {
		w.get(w.client(nil))
		return strings.Contains(w.log.String(), "the old one stays")
	}, 20*time.Second, 100*time.Millisecond)
	serial, _ = w.get(w.client(nil))
	assert.Equal(t, int64(8), serial)
	assert.Equal(t, 1, strings.Count(w.log.String(), "the old one stays"), "said once")
	assert.NotContains(t, w.log.String(), "half a k")
}

// Who shows a certificate of the senders' authority needs no token to send, and
// may do nothing else with it.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	w := newTLSWorld(t, server.Config{})
	post := func(c *http.Client, path string) int {
		resp, err := c.Post("https://"+w.Addr()+path, "application/json", bytes.NewReader(server.WebhookBody(1)))
		if err != nil {
			return 0
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	const intake = "/webhook/alertmanager"
	assert.Equal(t, 200, post(w.client(w.senders), intake))
	assert.Equal(t, 401, post(w.client(nil), intake), "without one")
	assert.Equal(t, 0, post(w.client(w.servers), intake), "of another authority: there is no connection")
	assert.Equal(t, 401, post(w.client(w.senders), "/api/v1/silences"))

	kept := w.client(w.senders)
	require.Equal(t, 200, post(kept, intake))
	others := newAuthority(t, "others")
	others.write(w.files.ClientCAFile, "CERTIFICATE", others.cert.Raw)
	told := 0
	require.Eventually(t, func() bool { told = post(kept, intake); return told != 200 }, 20*time.Second, 100*time.Millisecond, "nor on a connection that was there before")
	assert.Equal(t, 503, told, "so that a sender that has a new certificate tries again with it")
	require.Eventually(t, func() bool { return post(w.client(w.senders), intake) == 0 }, 20*time.Second, 100*time.Millisecond, "an authority is trusted no more")
	assert.Equal(t, 200, post(w.client(others), intake))
}

// The limit of connections knows which are busy under TLS, too.
func TestTLSConnections(t *testing.T) {
	t.Parallel()
	w := newTLSWorld(t, server.Config{Connections: 10})
	busy, idle := w.client(nil), w.client(nil)
	w.get(busy)
	require.Equal(t, 1.0, w.metric(t, "tocsin_http_connections"))
	for range 5 {
		w.get(idle)
		idle.CloseIdleConnections()
	}
	require.Eventually(t, func() bool { return w.metric(t, "tocsin_http_connections") == 1 }, 20*time.Second, 20*time.Millisecond, "those that ended are not counted")
	assert.Zero(t, w.metric(t, `tocsin_http_shed_total{reason="connections"}`))
}

func TestTLSFilesThatDoNotFit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := newAuthority(t, "a")
	a.issue(1, dir+"/cert.pem", dir+"/key.pem")
	a.issue(2, dir+"/other.pem", dir+"/other-key.pem")
	require.NoError(t, os.WriteFile(dir+"/empty.pem", nil, 0o600))
	for says, files := range map[string]server.TLS{
		"private key does not match": {CertFile: dir + "/cert.pem", KeyFile: dir + "/other-key.pem"},
		"no such file":               {CertFile: dir + "/cert.pem", KeyFile: dir + "/nothing.pem"},
		"holds no certificate":       {CertFile: dir + "/cert.pem", KeyFile: dir + "/key.pem", ClientCAFile: dir + "/empty.pem"},
		"are both needed":            {CertFile: dir + "/cert.pem"},
	} {
		w := newWorld(t, server.Config{})
		_, err := server.New(server.Config{TLS: files}, server.Deps{
			Receiver: w.router, Reader: w.reader, Actions: w.router, Silencer: w.router, Runbooks: library{}, Health: w.router,
		})
		require.ErrorContains(t, err, says)
	}
}
