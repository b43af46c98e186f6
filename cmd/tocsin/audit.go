package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/client"
	"github.com/tocsin-oncall/tocsin/storage/bolt"
)

type auditCmd struct {
	Actor  string `placeholder:"NAME" help:"Only what this person did."`
	Kind   string `placeholder:"KIND" help:"Only this kind of event: silence, override, acknowledged, change, …"`
	Since  string `placeholder:"TIME" help:"Only from this time on: -2h, 2026-11-22T09:00, or RFC 3339. Write --since=-2h."`
	Until  string `placeholder:"TIME" help:"Only before this time."`
	Last   int    `default:"50" help:"The newest so many, up to 1000."`
	All    bool   `help:"All of them, the oldest first."`
	Follow bool   `short:"f" help:"Go on with what happens."`

	Verify bool     `help:"Verify instead that no record was changed, taken out or put in; exit 1 where one was."`
	Head   string   `placeholder:"HASH" help:"With --verify: the log must have had this head, which an earlier --verify printed."`
	File   []string `placeholder:"FILE" help:"With --verify: a file of audit.file, or of --all --output json, instead of the server's log. More than one: as they were rotated, the oldest first." type:"existingfile"`
	DB     string   `name:"db" placeholder:"PATH" help:"With --verify: the store of a server that is not running, or a backup: tocsin.db, or its folder." type:"path"`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (auditCmd) Help() string {
	return "Who did what, when, from where; what was there before, and after. See docs/audit.md.\n\n" +
		"Example: tocsin audit --actor ana --since=-24h\n\n" +
		"Example: tocsin audit --verify"
}

// Run lists the audit log, or verifies it.
func (c *auditCmd) Run(ctx context.Context, e *env) error {
	if c.Verify {
		return c.verify(ctx, e)
	}
	if c.Head != "" || len(c.File) > 0 || c.DB != "" {
		return wrongUse("--head, --file and --db are for --verify")
	}
	q, err := c.query(time.Now())
	if err != nil {
		return err
	}
	show := c.shower(e.out)
	for {
		body, err := c.client().Audit(ctx, q)
		if err != nil {
			return err
		}
		err = eachRecord(body, func(r tocsin.AuditRecord) error {
			if q.After == r.Seq && r.IsMark() && q.After > 0 {
				return nil // said already
			}
			q.After = r.Seq
			return show(r)
		})
		if err := errors.Join(err, body.Close()); err != nil || !c.Follow {
			return err
		}
		q.Last = 0
		if sleep(ctx, time.Second) != nil {
			return nil
		}
	}
}

func (c *auditCmd) query(now time.Time) (q client.AuditQuery, err error) {
	q.Actor, q.Kind = c.Actor, tocsin.EventKind(c.Kind)
	if !c.All {
		q.Last = c.Last
	}
	for _, t := range []struct {
		flag, text string
		to         *time.Time
	}{{"--since", c.Since, &q.Since}, {"--until", c.Until, &q.Until}} {
		if *t.to, err = when(t.flag, t.text, now, time.Local, time.Time{}); err != nil {
			return q, err
		}
	}
	return q, nil
}

// eachRecord reads lines of an audit log.
func eachRecord(r io.Reader, do func(tocsin.AuditRecord) error) error {
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			record, perr := tocsin.ParseAuditLine(line)
			if perr == nil {
				perr = do(record)
			}
			if perr != nil {
				return fmt.Errorf("line %d: %w", n, perr)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// shower returns what prints a record: as its line, or for people.
func (c *auditCmd) shower(w io.Writer) func(tocsin.AuditRecord) error {
	if c.Output == "json" {
		return func(r tocsin.AuditRecord) error {
			_, err := w.Write(r.AppendLine(nil))
			return err
		}
	}
	return func(r tocsin.AuditRecord) error {
		if r.IsMark() {
			return nil
		}
		ev, err := r.Event()
		if err != nil {
			_, err = fmt.Fprintf(w, "%d  this record cannot be read; run tocsin audit --verify\n", r.Seq)
			return err
		}
		_, err = io.WriteString(w, auditLine(&ev))
		return err
	}
}

// auditLine is an event for people.
func auditLine(e *tocsin.Event) string {
	who := e.Actor
	if who == "" {
		who = "-"
	}
	if e.Origin != "" {
		who += " (" + e.Origin + ")"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%6d  %s  %-14s %-6s  %-32s %s\n", e.Seq, stamp(e.At), e.Kind, printable(e.Incident), printable(who), printable(e.Text))
	for _, change := range []struct{ name, text string }{{"before", e.Before}, {"after", e.After}} {
		if change.text != "" {
			fmt.Fprintf(&b, "        %s %s\n", change.name, printable(change.text))
		}
	}
	return b.String()
}

// verify says whether everything fits, and where the chain stands.
func (c *auditCmd) verify(ctx context.Context, e *env) error {
	var sought tocsin.AuditHash
	if c.Head != "" {
		if err := sought.UnmarshalText([]byte(c.Head)); err != nil {
			return wrongUse("--head: %s", err)
		}
	}
	var report tocsin.AuditReport
	var err error
	switch {
	case len(c.File) > 0 && c.DB != "":
		return wrongUse("either --file or --db")
	case len(c.File) > 0:
		report, err = verifyLines(c.File, sought)
	case c.DB != "":
		report, err = verifyStore(ctx, c.DB, sought)
	default:
		report, err = c.client().VerifyAudit(ctx, sought)
	}
	if err != nil {
		return err
	}
	if err := c.print(e.out, report, func(w io.Writer) { fmt.Fprint(w, auditVerdict(&report)) }); err != nil || report.OK {
		return err
	}
	return exitError{code: 1}
}

func auditVerdict(r *tocsin.AuditReport) string {
	var b strings.Builder
	if r.OK {
		fmt.Fprintf(&b, "verified: %d records, %d to %d", r.Records, r.First, r.Last)
		if r.Dropped > 0 {
			fmt.Fprintf(&b, "; the retention has dropped %d", r.Dropped)
		}
		fmt.Fprintf(&b, "\nhead: %s\n", r.Head)
		if r.SoughtAt > 0 {
			fmt.Fprintf(&b, "the head that was asked for was that of record %d\n", r.SoughtAt)
		}
		return b.String()
	}
	return fmt.Sprintf("NOT VERIFIED: record %d does not fit: %s\n", r.At, r.Problem)
}

// verifyLines verifies files, each of which goes on where the one before it ends.
func verifyLines(paths []string, sought tocsin.AuditHash) (tocsin.AuditReport, error) {
	check := tocsin.AuditCheck{Sought: sought}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return tocsin.AuditReport{}, err
		}
		err = eachRecord(f, check.Add)
		if err := errors.Join(err, f.Close()); err != nil && check.Report().Problem == "" {
			return tocsin.AuditReport{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	return check.Report(), nil
}

// verifyStore verifies the store of a server that is not running.
func verifyStore(ctx context.Context, path string, sought tocsin.AuditHash) (tocsin.AuditReport, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, bolt.FileName)
	}
	return bolt.VerifyFile(ctx, path, sought)
}
