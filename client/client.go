package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	jsonv1 "github.com/go-json-experiment/json/v1"
)

// Options say how a server is spoken to. The zero value speaks without a token.
type Options struct {
	// Token is an API token; TokenFile a file with one, read anew for each request.
	// Neither: none is sent.
	Token, TokenFile string
	// UserAgent names the program; empty: "tocsin-client".
	UserAgent string
	// HTTP sends; nil: one that waits for 30 seconds.
	HTTP *http.Client
}

// Client speaks to one server. It is safe for concurrent use.
type Client struct {
	base string
	o    Options
}

// New returns a client for the server at base: "https://tocsin.example.com".
func New(base string, o Options) *Client {
	o.UserAgent = cmp.Or(o.UserAgent, "tocsin-client")
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: 30 * time.Second}
	}
	return &Client{base: strings.TrimRight(base, "/"), o: o}
}

// Get asks for a path and decodes the answer into out.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.Do(ctx, http.MethodGet, path, nil, out)
}

// Do sends in as JSON, unless it is nil, and decodes the answer into out, unless
// that is nil. Its error is an *Error where the server has answered, and satisfies
// errors.Is(err, ErrUnreached) where it was not reached.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.Send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return unreached{err}
	}
	return jsonv1.Unmarshal(b, out) // twice as fast as encoding/json: a year of shifts is megabytes
}

// patienceToRepeat lets a server that restarts come back.
const patienceToRepeat = 300 * time.Millisecond

// Repeat does what Do does, and does it again when the connection breaks, when
// nobody knows whether the server has heard it: for what names itself, with an ID
// of its own, so that it happens once.
func (c *Client) Repeat(ctx context.Context, method, path string, in, out any) error {
	err := c.Do(ctx, method, path, in, out)
	if !errors.Is(err, ErrUnreached) {
		return err
	}
	select {
	case <-ctx.Done():
		return err
	case <-time.After(patienceToRepeat):
		return c.Do(ctx, method, path, in, out)
	}
}

// Backup returns a hot backup of the server's store, which the caller closes. It
// takes as long as the store is large, or until ctx ends.
func (c *Client) Backup(ctx context.Context) (io.ReadCloser, error) {
	resp, err := c.patient().Send(ctx, http.MethodGet, "/api/v1/backup", nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// patient is the client without a limit on how long an answer takes.
func (c *Client) patient() *Client {
	p, h := *c, *c.o.HTTP
	h.Timeout = 0
	p.o.HTTP = &h
	return &p
}

// Send returns a good answer, whose body the caller closes. See Do.
func (c *Client) Send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	req, err := c.request(ctx, method, path, in)
	if err != nil {
		return nil, err
	}
	return answered(c.o.HTTP.Do(req))
}

func (c *Client) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.o.UserAgent)
	token, err := c.token()
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, err
}

func (c *Client) token() (string, error) {
	if c.o.TokenFile == "" {
		return c.o.Token, nil
	}
	b, err := os.ReadFile(c.o.TokenFile)
	if err != nil {
		return "", fmt.Errorf("reading the API token: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

func answered(resp *http.Response, err error) (*http.Response, error) {
	var lost *url.Error
	switch {
	case errors.As(err, &lost):
		return nil, unreached{lost}
	case err != nil:
		return nil, err
	case resp.StatusCode/100 == 2:
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, errorOf(resp)
}
