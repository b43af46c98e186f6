package sns

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/tocsin-oncall/tocsin"
)

const (
	// maxBody is what SNS sends at the most (256 KB), and its envelope.
	maxBody = 512 << 10
	// maxAnswer bounds a certificate, and the answer to a confirmation.
	maxAnswer = 64 << 10
	// maxCertificates bounds those that are kept: one of each region, and some.
	maxCertificates = 64
	// maxAge of a message, so that one that was recorded is not taken for ever; SNS
	// tries for up to an hour by default, and longer where a topic says so.
	maxAge = 24 * time.Hour
	// ahead is how far AWS's clock may be before ours.
	ahead = 15 * time.Minute
)

// Door is a way in of the configuration.
type Door struct {
	// Name is the last part of the path.
	Name string
	// Source of the alerts.
	Source string
	// Topics are the ARNs whose messages are taken.
	Topics []string
	// Labels are set on all alerts.
	Labels tocsin.Labels
}

// Receiver takes alerts, durably.
type Receiver interface {
	// Receive decides and commits a batch.
	Receive(ctx context.Context, b tocsin.Batch) (tocsin.Outcome, error)
}

// Fetcher gets what is at a URL, up to so many bytes. It follows no redirects.
type Fetcher func(ctx context.Context, url string, most int64) ([]byte, error)

// Options are the parts. Receiver is required.
type Options struct {
	Receiver Receiver
	// Fetch gets certificates and confirms subscriptions; nil: Fetch of this
	// package. It is asked for https://sns.<region>.amazonaws.com alone.
	Fetch Fetcher
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger may be nil, as may the Registerer.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Doors take messages of SNS. They are an http.Handler for a path whose parameter
// name is the door's, and safe for concurrent use.
type Doors struct {
	o        Options
	doors    atomic.Pointer[map[string]*Door]
	messages *prometheus.CounterVec
	refusals rate.Sometimes
	fetching sync.Mutex
	mu       sync.Mutex
	keys     map[string]*rsa.PublicKey
	until    map[string]time.Time
}

// New returns the doors.
func New(list []Door, o Options) (*Doors, error) {
	if o.Receiver == nil {
		return nil, errors.New("sns: a receiver is needed")
	}
	if o.Fetch == nil {
		o.Fetch = Fetch
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Doors{o: o, refusals: rate.Sometimes{First: 1, Interval: time.Minute}, keys: map[string]*rsa.PublicKey{}, until: map[string]time.Time{}}
	d.messages = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_door_sns_messages_total", Help: "Messages of AWS SNS, by outcome.",
	}, []string{"outcome"})
	if o.Registerer != nil {
		if err := o.Registerer.Register(d.messages); err != nil {
			return nil, err
		}
	}
	d.SetDoors(list)
	return d, nil
}

// SetDoors changes what is taken, for every later message.
func (d *Doors) SetDoors(list []Door) {
	m := make(map[string]*Door, len(list))
	for i := range list {
		m[list[i].Name] = &list[i]
	}
	d.doors.Store(&m)
}

// ServeHTTP takes a message. 2xx is what is durable, 4xx what can never be right;
// SNS tries again after 503.
func (d *Doors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, outcome, err := d.take(r)
	d.messages.WithLabelValues(outcome).Inc()
	if err != nil {
		d.refusals.Do(func() {
			d.o.Logger.Warn("a message of SNS was not taken", "status", status, "reason", clip(err.Error(), maxLabel), "remote", r.RemoteAddr)
		})
	}
	w.WriteHeader(status)
}

func (d *Doors) take(r *http.Request) (status int, outcome string, err error) {
	door := (*d.doors.Load())[r.PathValue("name")]
	if door == nil {
		return http.StatusNotFound, "refused", errors.New("there is no such door")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err == nil && len(body) > maxBody {
		err = errors.New("it is longer than SNS sends")
	}
	if err != nil {
		return http.StatusBadRequest, "refused", err
	}
	m, err := parse(body)
	if err != nil {
		return http.StatusBadRequest, "refused", err
	}
	// The topic is looked at first, so that a stranger causes no request of ours.
	if !slices.Contains(door.Topics, m.TopicArn) {
		return http.StatusForbidden, "refused", errors.New("its topic is not one of doors.sns.topics")
	}
	if err := d.authentic(r.Context(), m); err != nil {
		if errors.Is(err, tocsin.ErrUnavailable) {
			return http.StatusServiceUnavailable, "unavailable", err
		}
		return http.StatusForbidden, "refused", err
	}
	if err := d.work(r.Context(), door, m); err != nil {
		return http.StatusServiceUnavailable, "unavailable", err
	}
	return http.StatusOK, "taken", nil
}

// authentic proves that AWS sent the message, and lately.
func (d *Doors) authentic(ctx context.Context, m *message) error {
	sent, err := time.Parse(time.RFC3339, m.Timestamp)
	now := d.o.Now()
	if err != nil || now.Sub(sent) > maxAge || sent.Sub(now) > ahead {
		return errors.New("its timestamp is missing, old or in the future")
	}
	where, err := certificateURL(m.SigningCertURL)
	if err != nil {
		return fmt.Errorf("its SigningCertURL: %w", err)
	}
	key, err := d.key(ctx, where)
	if err != nil {
		return err
	}
	if err := m.verify(key); err != nil {
		return fmt.Errorf("its signature is wrong: %w", err)
	}
	return nil
}

// key returns the key that a certificate bears, which is fetched once, one at a
// time.
func (d *Doors) key(ctx context.Context, where string) (*rsa.PublicKey, error) {
	if key := d.cached(where); key != nil {
		return key, nil
	}
	d.fetching.Lock()
	defer d.fetching.Unlock()
	if key := d.cached(where); key != nil {
		return key, nil
	}
	file, err := d.o.Fetch(ctx, where, maxAnswer)
	if err != nil {
		return nil, tocsin.Unavailable(fmt.Errorf("fetching the certificate: %w", err))
	}
	key, cert, err := publicKey(file)
	if err != nil {
		return nil, err
	}
	if now := d.o.Now(); now.After(cert.NotAfter) || now.Before(cert.NotBefore) {
		return nil, errors.New("the certificate is not valid now")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.keys) >= maxCertificates {
		clear(d.keys)
	}
	d.keys[where], d.until[where] = key, cert.NotAfter
	return key, nil
}

func (d *Doors) cached(where string) *rsa.PublicKey {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.o.Now().After(d.until[where]) {
		return nil
	}
	return d.keys[where]
}

// work does what an authentic message of a topic of ours asks for.
func (d *Doors) work(ctx context.Context, door *Door, m *message) error {
	switch m.Type {
	case subscription:
		where, err := trusted(m.SubscribeURL)
		if err == nil {
			_, err = d.o.Fetch(ctx, where, maxAnswer)
		}
		if err != nil {
			return fmt.Errorf("confirming the subscription: %w", err)
		}
		d.o.Logger.Info("a subscription of SNS was confirmed", "topic", m.TopicArn)
	case unsubscribed:
		d.o.Logger.Warn("SNS has ended a subscription; its alarms do not come any more", "topic", m.TopicArn)
	default:
		a := alertOf(door, m, d.o.Now())
		if a == nil {
			return nil
		}
		_, err := d.o.Receiver.Receive(ctx, tocsin.Batch{Source: door.Source, Alerts: []tocsin.Alert{*a}})
		return err
	}
	return nil
}

// Fetch gets what is at a URL. It follows no redirects, and is answered with 200
// or fails.
func Fetch(ctx context.Context, url string, most int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	c := http.Client{Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err == nil && int64(len(b)) > most {
		err = errors.New("the answer is too long")
	}
	return b, err
}
