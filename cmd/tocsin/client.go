package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/user"

	"github.com/tocsin-oncall/tocsin/client"
)

// clientFlags say which server a command speaks to.
type clientFlags struct {
	Server    string `name:"server.url" default:"http://127.0.0.1:9911" env:"TOCSIN_URL" help:"The running server ($TOCSIN_URL)."`
	TokenFile string `name:"server.token-file" env:"TOCSIN_TOKEN_FILE" help:"File with an API token ($TOCSIN_TOKEN_FILE); or the token itself in $TOCSIN_TOKEN." type:"path"`
}

// caller is the API with the names that the commands use.
type caller struct{ *client.Client }

func (f clientFlags) client() caller {
	return caller{client.New(f.Server, client.Options{
		Token: os.Getenv("TOCSIN_TOKEN"), TokenFile: f.TokenFile, UserAgent: "tocsin/" + version,
	})}
}

func (c caller) get(ctx context.Context, path string, out any) error { return c.Get(ctx, path, out) }

func (c caller) do(ctx context.Context, method, path string, in, out any) error {
	return c.Do(ctx, method, path, in, out)
}

func (c caller) repeat(ctx context.Context, method, path string, in, out any) error {
	return c.Repeat(ctx, method, path, in, out)
}

func (c caller) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	return c.Send(ctx, method, path, in)
}

// next is what to do about an error of the API, or "".
func next(err error) string {
	var answer *client.Error
	switch {
	case errors.Is(err, client.ErrUnreached):
		return "is the server running? name it with --server.url"
	case errors.As(err, &answer) && answer.Status == http.StatusUnauthorized:
		return "give an API token with --server.token-file, or in $TOCSIN_TOKEN"
	}
	return ""
}

// whoami is the name that actions are recorded under where the server has no
// token to tell it by.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "cli"
}
