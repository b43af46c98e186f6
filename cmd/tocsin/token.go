package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/access"
	"github.com/tocsin-oncall/tocsin/client"
	"github.com/tocsin-oncall/tocsin/config"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token, and show it once."`
	List   tokenListCmd   `cmd:"" help:"List the tokens that were made."`
	Revoke tokenRevokeCmd `cmd:"" help:"End a token now."`
}

// offlineFlag is for the first token, before there is anybody who may make one.
type offlineFlag struct {
	Config string `name:"config.file" help:"Work on the store of this configuration, with the server stopped, instead of asking a running server." type:"path"`
}

type tokenCreateCmd struct {
	Name    string `required:"" placeholder:"NAME" help:"Whom or what it is for: the actor on timelines."`
	Role    string `required:"" enum:"viewer,responder,manager,admin,intake" placeholder:"ROLE" help:"What it is good for: ${enum}. intake sends alerts and does nothing else."`
	Team    string `placeholder:"TEAM" help:"The team for whose incidents and schedules alone it is good; the role is then viewer, responder or manager."`
	Expires string `default:"90d" placeholder:"90d" help:"When it stops working: a duration, or never."`
	offlineFlag
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (tokenCreateCmd) Help() string {
	return "The token is shown once; only a hash of it is kept.\n\n" +
		"Example: tocsin token create --name ci --role responder --expires 90d\n\n" +
		"For the things of one team alone: tocsin token create --name db-bot --role responder --team db\n\n" +
		"The first one, before the server is started: tocsin token create --name ana --role admin --config.file tocsin.yml"
}

// Run makes a token.
func (c *tokenCreateCmd) Run(ctx context.Context, e *env) error {
	expires, err := expiry(c.Expires, time.Now())
	if err != nil {
		return err
	}
	var made client.NewToken
	t := tocsin.Token{Name: c.Name, Role: tocsin.Role(c.Role), Team: c.Team, ExpiresAt: expires}
	if c.Config == "" {
		made, err = c.client().CreateToken(ctx, t)
	} else {
		t.CreatedBy = whoami()
		err = c.offline(e.err, func(cfg *config.Config, k *access.Keeper) (err error) {
			if t.Team != "" && !slices.ContainsFunc(cfg.Teams, func(of config.Team) bool { return of.Name == t.Team }) {
				return fmt.Errorf("--team %q: %s has no such team", printable(t.Team), c.Config)
			}
			made.Token, made.Secret, err = k.CreateToken(tocsin.WithOrigin(ctx, "terminal"), t)
			return err
		})
	}
	if err != nil {
		return err
	}
	return c.print(e.out, made, func(w io.Writer) {
		fmt.Fprintln(w, made.Secret)
		fmt.Fprintf(e.err, "token %s for %s (%s), %s; keep it now, it is not shown again\n", made.Token.ID, printable(made.Token.Name), roleOfToken(&made.Token), until(made.Token))
	})
}

// roleOfToken says what a token is good for.
func roleOfToken(t *tocsin.Token) string {
	if t.Team == "" {
		return string(t.Role)
	}
	return string(t.Role) + " in team " + printable(t.Team)
}

// expiry is when a token stops working; zero for never.
func expiry(text string, now time.Time) (time.Time, error) {
	if text == "never" {
		return time.Time{}, nil
	}
	d, err := config.ParseDuration(text)
	if err != nil || d <= 0 {
		return time.Time{}, fmt.Errorf("--expires %q: write a duration, such as 90d, or never", text)
	}
	return now.Add(time.Duration(d)).UTC().Truncate(time.Second), nil
}

func until(t tocsin.Token) string {
	if t.ExpiresAt.IsZero() {
		return "does not expire"
	}
	return "expires " + stamp(t.ExpiresAt)
}

// offline lets f work on the store of a server that is not running. It says which
// one that is, and that it was not there before: a storage.path that is left out
// begins in the folder that the command is typed in.
func (o *offlineFlag) offline(said io.Writer, f func(*config.Config, *access.Keeper) error) (err error) {
	cfg, _, err := config.Load(o.Config)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(filepath.Join(cfg.Storage.Path, bolt.FileName))
	if err != nil {
		return err
	}
	if _, missing := os.Stat(path); errors.Is(missing, fs.ErrNotExist) {
		fmt.Fprintf(said, "there was no store yet: %s is made\n", path)
	} else {
		fmt.Fprintf(said, "working on %s\n", path)
	}
	store, err := bolt.Open(path, bolt.Options{
		MaxSize: int64(cfg.Storage.MaxSize), MinFree: orNone(cfg.Storage.MinFree), Ballast: orNone(cfg.Storage.Ballast),
		Retention: time.Duration(cfg.Storage.Retention),
	})
	if err != nil {
		return fmt.Errorf("%w; is the server running? then leave --config.file out", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return f(cfg, access.New(access.Options{Store: store}))
}

type tokenListCmd struct {
	offlineFlag
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (tokenListCmd) Help() string { return "Example: tocsin token list" }

// Run lists the tokens.
func (c *tokenListCmd) Run(ctx context.Context, e *env) error {
	list, err := c.tokens(ctx, e.err)
	if err != nil {
		return err
	}
	return c.print(e.out, map[string]any{"tokens": list}, func(out io.Writer) {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tNAME\tROLE\tTEAM\tMADE\tBY\tEXPIRES\tUSED")
		for i := range list {
			t := &list[i]
			expires, used := "never", "never"
			if !t.ExpiresAt.IsZero() {
				expires = stamp(t.ExpiresAt)
			}
			if t.Expired(time.Now()) {
				expires = "expired"
			}
			if !t.UsedAt.IsZero() {
				used = stamp(t.UsedAt)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, printable(t.Name), t.Role, cmp.Or(printable(t.Team), "-"), stamp(t.CreatedAt), printable(t.CreatedBy), expires, used)
		}
		_ = w.Flush() // of a terminal that has gone
	})
}

func (c *tokenListCmd) tokens(ctx context.Context, said io.Writer) (list []tocsin.Token, err error) {
	if c.Config == "" {
		return c.client().Tokens(ctx)
	}
	err = c.offline(said, func(_ *config.Config, k *access.Keeper) (err error) {
		list, err = k.Tokens(ctx)
		return err
	})
	return list, err
}

type tokenRevokeCmd struct {
	ID string `arg:"" help:"The token's ID, as the list shows it."`
	offlineFlag
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (tokenRevokeCmd) Help() string { return "Example: tocsin token revoke k7f3q9" }

// Run ends a token.
func (c *tokenRevokeCmd) Run(ctx context.Context, e *env) error {
	revoke := func() error { return c.client().RevokeToken(ctx, c.ID) }
	if c.Config != "" {
		revoke = func() error {
			return c.offline(e.err, func(_ *config.Config, k *access.Keeper) error {
				return k.RevokeToken(tocsin.WithOrigin(ctx, "terminal"), c.ID, whoami())
			})
		}
	}
	err := revoke()
	if errors.Is(err, tocsin.ErrNotFound) {
		return fmt.Errorf("there is no token %s; tocsin token list shows them", printable(c.ID))
	}
	if err != nil {
		return err
	}
	return c.print(e.out, map[string]string{"id": c.ID, "status": "revoked"}, func(w io.Writer) { fmt.Fprintf(w, "%s is revoked\n", printable(c.ID)) })
}
