package reconcile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 128 << 20

// apiAlert is an alert of GET /api/v2/alerts
// (https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml).
type apiAlert struct {
	Labels       tocsin.Labels `json:"labels"`
	Annotations  tocsin.Labels `json:"annotations"`
	StartsAt     time.Time     `json:"startsAt"`
	GeneratorURL string        `json:"generatorURL"`
	Receivers    []struct {
		Name string `json:"name"`
	} `json:"receivers"`
	Status struct {
		// State is active, suppressed or unprocessed.
		State string `json:"state"`
	} `json:"status"`
}

type apiMatcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual bool   `json:"isEqual"`
}

type apiSilence struct {
	ID        string       `json:"id,omitempty"`
	Matchers  []apiMatcher `json:"matchers"`
	StartsAt  time.Time    `json:"startsAt"`
	EndsAt    time.Time    `json:"endsAt"`
	CreatedBy string       `json:"createdBy"`
	Comment   string       `json:"comment"`
	Status    *struct {
		State string `json:"state"`
	} `json:"status,omitempty"`
}

// client speaks to one Alertmanager.
type client struct {
	base string
	conf *Config
	http *http.Client
}

func (c *client) alerts(ctx context.Context) ([]apiAlert, error) {
	var out []apiAlert
	err := c.do(ctx, http.MethodGet, "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true", nil, &out)
	if err == nil && out == nil {
		return nil, errors.New("the answer is no list of alerts")
	}
	return out, err
}

func (c *client) silences(ctx context.Context) ([]apiSilence, error) {
	var out []apiSilence
	return out, c.do(ctx, http.MethodGet, "/api/v2/silences", nil, &out)
}

// putSilence makes or changes a silence, and returns its ID, which may be another
// one than before.
func (c *client) putSilence(ctx context.Context, s apiSilence) (string, error) {
	var out struct {
		ID string `json:"silenceID"`
	}
	err := c.do(ctx, http.MethodPost, "/api/v2/silences", s, &out)
	if err == nil && out.ID == "" {
		err = errors.New("the answer names no silence")
	}
	return out.ID, err
}

func (c *client) expireSilence(ctx context.Context, id string) error {
	err := c.do(ctx, http.MethodDelete, "/api/v2/silence/"+url.PathEscape(id), nil, nil)
	var s *statusError
	if errors.As(err, &s) && (s.status == http.StatusNotFound || strings.Contains(s.text, "already expired")) {
		return nil // it is over, which is what was asked for
	}
	return err
}

// statusError is an answer other than 2xx.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.text) }

func (c *client) do(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.conf.Timeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	switch {
	case c.conf.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.conf.Token)
	case c.conf.Username != "":
		req.SetBasicAuth(c.conf.Username, c.conf.Password)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 256)) // what it says beside its status is a courtesy
		return &statusError{resp.StatusCode, string(bytes.TrimSpace(text))}
	}
	if out == nil {
		return nil
	}
	r := io.LimitReader(resp.Body, maxAnswer+1)
	d := json.NewDecoder(r)
	if err := d.Decode(out); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	return nil
}
