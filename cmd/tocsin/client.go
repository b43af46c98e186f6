package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strings"
	"time"

	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/tocsin-oncall/tocsin"
)

// clientFlags say which server a command speaks to.
type clientFlags struct {
	Server    string `name:"server.url" default:"http://127.0.0.1:9911" env:"TOCSIN_URL" help:"The running server ($TOCSIN_URL)."`
	TokenFile string `name:"server.token-file" env:"TOCSIN_TOKEN_FILE" help:"File with an API token ($TOCSIN_TOKEN_FILE)." type:"path"`
}

// client speaks the JSON API.
type client struct {
	url, tokenFile string
	http           *http.Client
}

func (f clientFlags) client() *client {
	return &client{url: strings.TrimRight(f.Server, "/"), tokenFile: f.TokenFile, http: &http.Client{Timeout: 30 * time.Second}}
}

// do calls the API and decodes the answer into out, unless that is nil.
func (c *client) do(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return jsonv1.Unmarshal(b, out) // twice as fast as encoding/json: a year of shifts is megabytes
}

// patienceToRepeat lets a server that restarts come back.
const patienceToRepeat = 300 * time.Millisecond

// repeat does what do does, and does it again when the connection breaks, when
// nobody knows whether the server has heard it: for what names itself, so that it
// happens once.
func (c *client) repeat(ctx context.Context, method, path string, in, out any) error {
	err := c.do(ctx, method, path, in, out)
	var lost *url.Error
	if !errors.As(err, &lost) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	select {
	case <-ctx.Done():
		return err
	case <-time.After(patienceToRepeat):
		return c.do(ctx, method, path, in, out)
	}
}

func (c *client) get(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodGet, path, nil, out)
}

// send returns a good answer, whose body the caller closes.
func (c *client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.tokenFile != "" {
		token, err := os.ReadFile(c.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("reading the API token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w; is the server running? name it with --server.url", err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, apiError(resp)
}

// apiError is the API's own explanation.
func apiError(resp *http.Response) error {
	var body struct {
		Error struct{ Message, Field string }
	}
	err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&body)
	body.Error.Message = printable(body.Error.Message)
	switch {
	case resp.StatusCode == http.StatusConflict && body.Error.Message != "":
		return conflictError(strings.TrimPrefix(body.Error.Message, tocsin.ErrConflict.Error()+": "))
	case resp.StatusCode == http.StatusUnauthorized:
		return errors.New("the server wants an API token: give it with --server.token-file")
	case err != nil || body.Error.Message == "":
		return fmt.Errorf("the server answered %s", resp.Status)
	case body.Error.Field != "":
		return fmt.Errorf("%s: %s", body.Error.Field, body.Error.Message)
	default:
		return errors.New(body.Error.Message)
	}
}

// conflictError is what the server wants to be confirmed.
type conflictError string

func (e conflictError) Error() string        { return string(e) }
func (e conflictError) Is(target error) bool { return target == tocsin.ErrConflict }

// whoami is the name that actions are recorded under where the server has no
// token to tell it by.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "cli"
}
