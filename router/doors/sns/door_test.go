package sns_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router/doors/sns"
)

const (
	topic   = "arn:aws:sns:eu-west-1:123456789012:alarms"
	certURL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123.pem"
	confirm = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// world plays AWS, with a key of its own.
type world struct {
	*testing.T
	key     *rsa.PrivateKey
	files   map[string][]byte
	fetched []string
	broken  error
	batches []tocsin.Batch
	err     error
	doors   *sns.Doors
	now     time.Time
}

func (w *world) Receive(_ context.Context, b tocsin.Batch) (tocsin.Outcome, error) {
	if w.err == nil {
		w.batches = append(w.batches, b)
	}
	return tocsin.Outcome{}, w.err
}

func (w *world) fetch(_ context.Context, url string, _ int64) ([]byte, error) {
	w.fetched = append(w.fetched, url)
	if file, ok := w.files[url]; ok && w.broken == nil {
		return file, nil
	}
	return nil, errors.Join(w.broken, errors.New("nothing there"))
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(365 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	w := &world{T: t, key: key, now: now, files: map[string][]byte{
		certURL: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), confirm: []byte("<ok/>"),
	}}
	w.doors, err = sns.New([]sns.Door{{Name: "cw", Source: "aws", Topics: []string{topic}, Labels: tocsin.Labels{"severity": "critical"}}},
		sns.Options{Receiver: w, Fetch: w.fetch, Now: func() time.Time { return w.now }})
	require.NoError(t, err)
	return w
}

func notification(alarm string) map[string]string {
	return map[string]string{
		"Type": "Notification", "MessageId": "m1", "TopicArn": topic, "Subject": "ALARM", "Message": alarm,
		"Timestamp": now.Format("2006-01-02T15:04:05.000Z"), "SignatureVersion": "2", "SigningCertURL": certURL,
	}
}

func alarm(state string) string {
	return `{"AlarmName":"HighCPU","AlarmDescription":"the CPU is busy","AWSAccountId":"123456789012","NewStateValue":"` + state + `",
		"NewStateReason":"Threshold crossed","StateChangeTime":"2026-03-02T08:59:30.123+0000","Region":"EU (Ireland)",
		"Trigger":{"MetricName":"CPUUtilization","Namespace":"AWS/EC2","Dimensions":[{"name":"InstanceId","value":"i-1"}]}}`
}

// sign signs as AWS does.
func (w *world) sign(m map[string]string) map[string]string {
	fields := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	if m["Type"] != "Notification" {
		fields = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	text := ""
	for _, f := range fields {
		if v, ok := m[f]; ok {
			text += f + "\n" + v + "\n"
		}
	}
	hash, sum := crypto.SHA256, sha256.Sum256([]byte(text))
	digest := sum[:]
	if m["SignatureVersion"] == "1" {
		one := sha1.Sum([]byte(text))
		hash, digest = crypto.SHA1, one[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, w.key, hash, digest)
	require.NoError(w, err)
	m["Signature"] = base64.StdEncoding.EncodeToString(signature)
	return m
}

func (w *world) send(door string, m map[string]string) int {
	w.Helper()
	b, err := json.Marshal(m)
	require.NoError(w, err)
	return w.raw(door, string(b))
}

func (w *world) raw(door, body string) int {
	r := httptest.NewRequest(http.MethodPost, "/webhook/sns/"+door, strings.NewReader(body))
	r.SetPathValue("name", door)
	rec := httptest.NewRecorder()
	w.doors.ServeHTTP(rec, r)
	return rec.Code
}

func TestAlarms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, 200, w.send("cw", w.sign(notification(alarm("ALARM")))))
	at := time.Date(2026, 3, 2, 8, 59, 30, 123e6, time.UTC)
	labels := tocsin.Labels{
		"alertname": "HighCPU", "severity": "critical", "region": "eu-west-1", "account": "123456789012",
		"namespace": "AWS/EC2", "metric": "CPUUtilization", "InstanceId": "i-1",
	}
	annotations := tocsin.Labels{"summary": "the CPU is busy", "description": "Threshold crossed"}
	assert.Equal(t, []tocsin.Batch{{Source: "aws", Alerts: []tocsin.Alert{
		{Source: "aws", Labels: labels, Annotations: annotations, Firing: true, StartsAt: at},
	}}}, w.batches)

	m := notification(alarm("OK"))
	m["SignatureVersion"] = "1"
	delete(m, "Subject")
	require.Equal(t, 200, w.send("cw", w.sign(m)))
	require.Len(t, w.batches, 2)
	assert.False(t, w.batches[1].Alerts[0].Firing)
	assert.Equal(t, at, w.batches[1].Alerts[0].EndsAt)
	assert.Equal(t, w.batches[0].Alerts[0].ID(), w.batches[1].Alerts[0].ID())
	assert.Equal(t, []string{certURL}, w.fetched, "the certificate is fetched once")

	for _, text := range []string{alarm("INSUFFICIENT_DATA"), "hello", "{}", "[]"} {
		require.Equal(t, 200, w.send("cw", w.sign(notification(text))), text)
	}
	assert.Len(t, w.batches, 2, "what is no alarm is taken and says nothing")
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := notification("You have chosen to subscribe")
	delete(m, "Subject")
	m["Type"], m["Token"], m["SubscribeURL"] = "SubscriptionConfirmation", "t", confirm
	require.Equal(t, 200, w.send("cw", w.sign(m)))
	assert.Equal(t, []string{certURL, confirm}, w.fetched)
	m["SubscribeURL"] = "https://evil.example.com/?x"
	assert.Equal(t, 503, w.send("cw", w.sign(m)))
	assert.Len(t, w.fetched, 2, "nobody else is asked")
	m["Type"] = "UnsubscribeConfirmation"
	require.Equal(t, 200, w.send("cw", w.sign(m)))
	assert.Empty(t, w.batches)
}

func TestForgeries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	with := func(change map[string]string) map[string]string {
		m := w.sign(notification(alarm("ALARM")))
		for k, v := range change {
			m[k] = v
		}
		return m
	}
	for name, m := range map[string]map[string]string{
		"text changed":      with(map[string]string{"Message": alarm("OK")}),
		"subject changed":   with(map[string]string{"Subject": "x"}),
		"no signature":      with(map[string]string{"Signature": ""}),
		"not base64":        with(map[string]string{"Signature": "%"}),
		"odd version":       with(map[string]string{"SignatureVersion": "3"}),
		"version swapped":   with(map[string]string{"SignatureVersion": "1"}),
		"old":               w.sign(map[string]string{"Type": "Notification", "TopicArn": topic, "Message": alarm("ALARM"), "Timestamp": "2026-02-01T00:00:00.000Z", "SignatureVersion": "2", "SigningCertURL": certURL}),
		"future":            w.sign(map[string]string{"Type": "Notification", "TopicArn": topic, "Message": alarm("ALARM"), "Timestamp": "2026-03-03T00:00:00.000Z", "SignatureVersion": "2", "SigningCertURL": certURL}),
		"another topic":     w.sign(map[string]string{"Type": "Notification", "TopicArn": topic + "x", "Message": alarm("ALARM"), "Timestamp": "2026-03-02T09:00:00.000Z", "SignatureVersion": "2", "SigningCertURL": certURL}),
		"another host":      with(map[string]string{"SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.com/SimpleNotificationService-1.pem"}),
		"a bucket":          with(map[string]string{"SigningCertURL": "https://s3.amazonaws.com/x/SimpleNotificationService-1.pem"}),
		"a user":            with(map[string]string{"SigningCertURL": "https://sns.eu-west-1.amazonaws.com@evil.com/SimpleNotificationService-1.pem"}),
		"a port":            with(map[string]string{"SigningCertURL": "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-1.pem"}),
		"http":              with(map[string]string{"SigningCertURL": strings.Replace(certURL, "https", "http", 1)}),
		"not a certificate": with(map[string]string{"SigningCertURL": confirm}),
	} {
		assert.Equal(t, 403, w.send("cw", m), name)
	}
	for name, body := range map[string]string{"no JSON": "{", "a list": "[]", "nothing": "{}", "too long": `{"x":"` + strings.Repeat("x", 513<<10) + `"}`} {
		assert.Equal(t, 400, w.raw("cw", body), name)
	}
	assert.Equal(t, 404, w.send("other", w.sign(notification(alarm("ALARM")))))
	assert.Empty(t, w.batches)
	for _, u := range w.fetched {
		assert.Equal(t, certURL, u)
	}
}

func TestNotNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.broken = errors.New("no network")
	assert.Equal(t, 503, w.send("cw", w.sign(notification(alarm("ALARM")))))
	w.broken = nil
	w.err = tocsin.Unavailable(errors.New("disk full"))
	assert.Equal(t, 503, w.send("cw", w.sign(notification(alarm("ALARM")))))
	w.err = nil
	assert.Equal(t, 200, w.send("cw", w.sign(notification(alarm("ALARM")))))
	w.doors.SetDoors(nil)
	assert.Equal(t, 404, w.send("cw", w.sign(notification(alarm("ALARM")))))
}

func TestACertificateExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, 200, w.send("cw", w.sign(notification(alarm("ALARM")))))
	w.now = now.Add(400 * 24 * time.Hour)
	m := notification(alarm("ALARM"))
	m["Timestamp"] = w.now.Format(time.RFC3339)
	assert.Equal(t, 403, w.send("cw", w.sign(m)))
	assert.Len(t, w.fetched, 2)
}

func TestFetchFollowsNoRedirects(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/there":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/ok":
			_, _ = w.Write([]byte("0123456789"))
		}
	}))
	defer srv.Close()
	ctx := context.Background()
	b, err := sns.Fetch(ctx, srv.URL+"/ok", 10)
	require.NoError(t, err)
	assert.Len(t, b, 10)
	_, err = sns.Fetch(ctx, srv.URL+"/ok", 9)
	assert.ErrorContains(t, err, "too long")
	_, err = sns.Fetch(ctx, srv.URL+"/there", 10)
	assert.ErrorContains(t, err, "status 302")
}
