package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/client"
)

// nowCmd is what tocsin does without arguments.
type nowCmd struct {
	User string `env:"TOCSIN_USER" placeholder:"USER" help:"Who you are. Default: whom the API token names, or your login."`
	outputFlag
	clientFlags
}

// Help is shown by --help.
func (nowCmd) Help() string {
	return "It is what tocsin says without a command, too.\n\nExample: tocsin now --user ana"
}

// needed is what waits for somebody.
type needed struct {
	User string `json:"user"`
	// Yours call you, or are yours; Others are triggered, and call somebody else.
	Yours  []*tocsin.Incident `json:"yours"`
	Others []*tocsin.Incident `json:"others"`
	// Approvals are the remedies that wait for a yes or a no.
	Approvals []tocsin.Remediation `json:"approvals"`
	// Shifts are those that you have now.
	Shifts []tocsin.Shift `json:"shifts"`
}

// Run says what needs you now.
func (c *nowCmd) Run(ctx context.Context, e *env) error {
	user := c.User
	if user == "" {
		user = cmp.Or(ownName(ctx, c.client()), whoami())
	}
	n, err := need(ctx, c.client(), user)
	if err != nil {
		return err
	}
	return c.print(e.out, n, func(w io.Writer) { n.write(w, time.Now()) })
}

// ownName is whom the server takes us for; "": it does not say.
func ownName(ctx context.Context, c *client.Client) string {
	var me struct {
		Name string `json:"name"`
	}
	const nobody = "api" // of a token without a name
	if c.Get(ctx, "/api/v1/me", &me) != nil || me.Name == nobody {
		return ""
	}
	return me.Name
}

// need asks what waits for a person. Remedies and schedules may not be there.
func need(ctx context.Context, c *client.Client, user string) (*needed, error) {
	n := &needed{User: user, Yours: []*tocsin.Incident{}, Others: []*tocsin.Incident{}, Approvals: []tocsin.Remediation{}, Shifts: []tocsin.Shift{}}
	q := client.IncidentQuery{States: []tocsin.State{tocsin.Triggered, tocsin.Acknowledged}, Limit: 1000}
	for more := true; more; more = q.After != "" {
		list, err := c.Incidents(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, inc := range list.Incidents {
			switch {
			case concerns(inc, user):
				n.Yours = append(n.Yours, inc)
			case inc.State == tocsin.Triggered && !inc.Quiet():
				n.Others = append(n.Others, inc)
			}
		}
		q.After = list.Next
	}
	runs, err := c.Remediations(ctx, "")
	if err != nil && !errors.Is(err, tocsin.ErrNotFound) {
		return nil, err
	}
	for i := range runs {
		if runs[i].State == tocsin.RemediationProposed && runs[i].Needs > 0 {
			n.Approvals = append(n.Approvals, runs[i])
		}
	}
	on, err := c.OnCall(ctx, time.Now(), "", user)
	if err != nil && !errors.Is(err, tocsin.ErrNotFound) && !errors.Is(err, tocsin.ErrInvalid) {
		return nil, err
	}
	for _, s := range on.Shifts {
		if s.User == user {
			n.Shifts = append(n.Shifts, s)
		}
	}
	return n, nil
}

// concerns reports whether somebody has the incident, or is called and has not
// answered.
func concerns(inc *tocsin.Incident, user string) bool {
	if inc.State == tocsin.Acknowledged {
		return inc.AcknowledgedBy == user
	}
	if inc.Escalation == nil {
		return false
	}
	return slices.ContainsFunc(inc.Escalation.Responders, func(r tocsin.Responder) bool {
		return r.User == user && r.Acknowledged.IsZero()
	})
}

func (n *needed) write(w io.Writer, now time.Time) {
	list := func(title string, incidents []*tocsin.Incident) {
		if len(incidents) == 0 {
			return
		}
		fmt.Fprintln(w, title)
		writeIncidents(w, "  ", incidents)
		fmt.Fprintln(w)
	}
	list("Yours", n.Yours)
	list("Triggered, and somebody else is called", n.Others)
	if len(n.Approvals) > 0 {
		fmt.Fprintln(w, "Remedies that wait for approval: tocsin remediate approve ID, or deny")
		for i := range n.Approvals {
			fmt.Fprintln(w, "  "+runLine(&n.Approvals[i]))
		}
		fmt.Fprintln(w)
	}
	if len(n.Yours)+len(n.Others)+len(n.Approvals) == 0 {
		fmt.Fprintln(w, "Nothing needs you now.")
	}
	var on []string
	for _, s := range n.Shifts {
		on = append(on, s.Schedule+" until "+clockTime(s.To, now))
	}
	if len(on) > 0 {
		fmt.Fprintf(w, "%s is on call on %s.\n", printable(n.User), printable(strings.Join(on, ", ")))
	} else {
		fmt.Fprintf(w, "%s is not on call.\n", printable(n.User))
	}
}

// writeIncidents writes a table of incidents.
func writeIncidents(out io.Writer, indent string, list []*tocsin.Incident) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, indent+"ID\tSTATE\tSEVERITY\tFIRING\tSINCE\tTITLE")
	for _, inc := range list {
		fmt.Fprintf(w, "%s%s\t%s\t%s\t%d/%d\t%s\t%s\n", indent, inc.ID, stateOf(inc), inc.Severity, inc.Firing, inc.Alerts,
			ago(inc.OpenedAt), printable(inc.Title))
	}
	_ = w.Flush()
}
