// Command tocsin is an incident response and alert router. `tocsin demo` shows
// everything without an account anywhere; `tocsin serve` is the service; the
// other commands ask and act from a terminal.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones of schedules and intervals, on machines without zone files

	"github.com/alecthomas/kong"

	"github.com/tocsin-oncall/tocsin/client"
)

// version is set by the linker.
var version = "dev"

func main() {
	if code, ours := sandboxHelper(os.Args); ours {
		os.Exit(code)
	}
	// Signals are caught to the very end: timeout(1) sends two, and the second one
	// must not make another exit code of what has ended well.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// cli is the command line.
type cli struct {
	Demo         demoCmd         `cmd:"" help:"Show everything at once: emulated Slack and PagerDuty, a scripted incident. Needs no account."`
	Serve        serveCmd        `cmd:"" help:"Run the service."`
	Check        checkCmd        `cmd:"" help:"Check the configuration and the runbooks; exit 1 on an error."`
	Route        routeCmd        `cmd:"" help:"Say where an alert would go, and why."`
	Runbooks     runbooksCmd     `cmd:"" help:"Show, list and lint runbooks."`
	Remediate    remediateCmd    `cmd:"" help:"List, plan, run, approve and stop remedies."`
	Incidents    incidentsCmd    `cmd:"" help:"List incidents, or show one."`
	Page         pageCmd         `cmd:"" help:"Open an incident without an alert, and call somebody."`
	Ack          ackCmd          `cmd:"" help:"Acknowledge incidents."`
	Resolve      resolveCmd      `cmd:"" help:"Resolve incidents."`
	Snooze       snoozeCmd       `cmd:"" help:"Acknowledge an incident until a time, when it comes back."`
	Escalate     escalateCmd     `cmd:"" help:"Call the next of an incident's policy now, or somebody else."`
	Reassign     reassignCmd     `cmd:"" help:"Give an incident to somebody else."`
	AddResponder addResponderCmd `cmd:"" help:"Call somebody to help with an incident."`
	Note         noteCmd         `cmd:"" help:"Write a note on an incident's timeline."`
	Merge        mergeCmd        `cmd:"" help:"Let another incident page for this one."`
	Unmerge      unmergeCmd      `cmd:"" help:"Take a merge back: the incident pages for itself again."`
	Channel      channelCmd      `cmd:"" help:"Open a Slack channel of an incident's own."`
	Severity     severityCmd     `cmd:"" help:"Raise or lower an incident's severity."`
	OnCall       onCallCmd       `cmd:"" name:"oncall" help:"Say who is on call, prove that somebody always is, and how it is shared."`
	Override     overrideCmd     `cmd:"" help:"List, make and cancel overrides of schedules."`
	Swap         swapCmd         `cmd:"" help:"Ask somebody to take a shift; accept or decline."`
	TimeOff      timeOffCmd      `cmd:"" name:"timeoff" help:"List and make time off."`
	Slack        slackCmd        `cmd:"" help:"Make the Slack app's manifest, and check what the app may do."`
	PagerDuty    pagerdutyCmd    `cmd:"" name:"pagerduty" help:"Check what PagerDuty takes and sends."`
	Silence      silenceCmd      `cmd:"" help:"List, make and end silences."`
	Token        tokenCmd        `cmd:"" help:"Make, list and revoke tokens for the API, the terminal and senders of alerts."`
	Audit        auditCmd        `cmd:"" help:"Show who did what, when and from where; verify that nobody changed it."`
	Backup       backupCmd       `cmd:"" help:"Write a hot backup of a running server's store to a file."`
	Restore      restoreCmd      `cmd:"" help:"Put a backup in place as the store of a server that is not running."`
	Postmortem   postmortemCmd   `cmd:"" help:"Print what happened in an incident, to begin its postmortem with."`
	Why          whyCmd          `cmd:"" help:"Say why an incident told whom it told, and nobody else."`
	Insights     insightsCmd     `cmd:"" help:"Say what paging costs, and what it brings."`
	Now          nowCmd          `cmd:"" help:"Say what needs you now; so does tocsin without a command."`
	Completion   completionCmd   `cmd:"" help:"Print a script that has a shell complete commands, flags and incidents."`
	Complete     completeCmd     `cmd:"" hidden:"" help:"Print what a shell may complete to."`
	Version      versionCmd      `cmd:"" help:"Print the version."`
}

// env is what commands write to.
type env struct {
	out, err io.Writer
}

// exitError ends the program with a code, after its text was printed.
type exitError struct {
	code int
	text string
}

func (e exitError) Error() string { return e.text }

// run is the whole program but for the process around it. It returns the exit
// code: 0, 1 for a failure, 2 for a wrong use of the command line.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	var c cli
	exited := -1
	parser, err := newParser(&c, out, errOut, func(code int) { exited = code })
	if err != nil {
		fmt.Fprintln(errOut, "tocsin:", err)
		return 2
	}
	bare := len(args) == 0
	if bare {
		args = []string{"now"}
	}
	kctx, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		parser.FatalIfErrorf(err)
		return 2
	}
	kctx.BindTo(ctx, (*context.Context)(nil))
	err = kctx.Run(&env{out: out, err: errOut})
	var exit exitError
	switch {
	case err == nil:
		return 0
	case bare && errors.Is(err, client.ErrUnreached):
		if _, perr := parser.Parse([]string{"--help"}); perr != nil && exited < 0 { // --help has ended it
			return 2
		}
		fmt.Fprintf(errOut, "\nWithout a command: what needs you now. But no server answers: %v\n", err)
		return 1
	case errors.As(err, &exit):
		if exit.text != "" {
			fmt.Fprintln(errOut, exit.text)
		}
		return exit.code
	default:
		fmt.Fprintln(errOut, "tocsin:", err)
		if hint := next(err); hint != "" {
			fmt.Fprintln(errOut, "       ", hint)
		}
		return 1
	}
}

func newParser(c *cli, out, errOut io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("tocsin"),
		kong.Description("Incident response and alert router: from Alertmanager to Slack and PagerDuty, nothing lost."),
		kong.ShortUsageOnError(),
		kong.Writers(out, errOut),
		kong.Exit(exit),
	)
}

type versionCmd struct{ outputFlag }

// Help is shown by --help.
func (versionCmd) Help() string { return "Example: tocsin version" }

// Run prints the version.
func (c *versionCmd) Run(e *env) error {
	return c.print(e.out, map[string]string{"version": version}, func(w io.Writer) { fmt.Fprintln(w, "tocsin", version) })
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log.level %q: use debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}
