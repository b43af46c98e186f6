package main

import (
	"cmp"
	"errors"
	"net/http"
	"os"
	"os/user"
	"strings"

	"github.com/tocsin-oncall/tocsin/client"
)

// clientFlags say which server a command speaks to.
type clientFlags struct {
	Server    string `name:"server.url" default:"http://127.0.0.1:9911" env:"TOCSIN_URL" help:"The running server."`
	TokenFile string `name:"server.token-file" env:"TOCSIN_TOKEN_FILE" help:"File with an API token; or the token itself in $TOCSIN_TOKEN." type:"path"`
}

func (f clientFlags) client() *client.Client {
	return client.New(f.Server, client.Options{
		Token: os.Getenv("TOCSIN_TOKEN"), TokenFile: f.TokenFile, UserAgent: "tocsin/" + version,
	})
}

// serverOfEnvironment is the server that the environment names, or the usual one.
func serverOfEnvironment() *client.Client {
	f := clientFlags{Server: cmp.Or(os.Getenv("TOCSIN_URL"), "http://127.0.0.1:9911"), TokenFile: os.Getenv("TOCSIN_TOKEN_FILE")}
	return f.client()
}

// next is what to do about an error of the API, or "".
func next(err error) string {
	var answer *client.Error
	switch {
	case errors.Is(err, client.ErrUnreached):
		return "is the server running? name it with --server.url"
	case errors.As(err, &answer) && answer.Status == http.StatusUnauthorized:
		return "give an API token with --server.token-file, or in $TOCSIN_TOKEN"
	case errors.As(err, &answer) && answer.Status == http.StatusNotFound:
		return whereListed(answer.Detail)
	}
	return ""
}

// whereListed says what lists those of the kind that was not found; "": nothing.
func whereListed(detail string) string {
	kind, _, _ := strings.Cut(detail, " ")
	switch kind {
	case "incident":
		return "tocsin incidents --all lists those that there are"
	case "remediation":
		return "tocsin remediate list lists those that there are"
	case "override":
		return "tocsin override list lists those that there are"
	case "silence":
		return "tocsin silence list --expired lists those that there are"
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
