package email

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// maxSubject is the most runes of a subject.
const maxSubject = 200

// thread says which thread a mail belongs to and what it is called there.
type thread struct {
	// root is the Message-ID of the thread's first mail, id this mail's; both
	// with their brackets.
	root, id string
	// severity is that of the first mail: the subject keeps it, since mail
	// programs part a thread where its subject changes.
	severity tocsin.Severity
	// first is true for the first mail.
	first bool
}

// rootPattern finds the severity in a Message-ID that we made.
var rootPattern = regexp.MustCompile(`^<tocsin\.[0-9a-z]+\.([a-z]+)\.[0-9a-f]+@[!-;=?-~]+>$`)

// plainID is an incident's ID that may stand in a Message-ID.
var plainID = regexp.MustCompile(`^[0-9a-z]{1,32}$`)

// threadOf decides the Message-IDs. It is pure: the same notice yields the same
// ones, after a restart too.
func threadOf(n *tocsin.Notice, domain string) thread {
	t := thread{root: n.Delivery.Ref, severity: n.Incident.Severity}
	if found := rootPattern.FindStringSubmatch(t.root); found != nil {
		t.severity = tocsin.Severity(found[1])
		if found[1] == unnamed {
			t.severity = ""
		}
	} else {
		t.root = newRoot(n, domain)
		t.first = !n.MayBePosted || !moved(n)
	}
	t.id = t.root
	if !t.first {
		at := strings.LastIndexByte(t.root, '@')
		t.id = fmt.Sprintf("%s.%d.%d%s", t.root[:at], n.Incident.StateRevision, n.Delivery.Calls, t.root[at:])
	}
	return t
}

// unnamed stands for a severity that is none of the four.
const unnamed = "none"

func newRoot(n *tocsin.Notice, domain string) string {
	id := n.Incident.ID
	if !plainID.MatchString(id) {
		id = tocsin.NewKey(id).String()[:12]
	}
	severity := unnamed
	if n.Incident.Severity.Rank() > 0 {
		severity = string(n.Incident.Severity)
	}
	target := tocsin.NewKey(n.Incident.ID, n.Delivery.Target).String()[:10]
	return fmt.Sprintf("<tocsin.%s.%s.%s@%s>", id, severity, target, ascii(domain))
}

// ascii makes a domain fit for a Message-ID, which need not exist.
func ascii(domain string) string {
	if domain == "" || strings.ContainsFunc(domain, func(r rune) bool { return unprintable(r) || strings.ContainsRune(`<>[]\,`, r) }) {
		return tocsin.NewKey(domain).String()[:12] + ".tocsin.invalid"
	}
	return strings.ToLower(domain)
}

// moved reports whether the incident may have changed since its target began to
// wait. A first mail of unknown outcome is then followed by one with its own
// Message-ID: were it dropped as a repeat, news would be lost.
func moved(n *tocsin.Notice) bool {
	if n.Incident.State != tocsin.Triggered || n.Delivery.Calls > 1 {
		return n.Incident.Kind != tocsin.KindNotice || n.Delivery.Calls > 1
	}
	for k := range n.Events {
		if e := &n.Events[k]; e.Loud() && e.At.After(n.Delivery.Since) {
			return true
		}
	}
	return false
}

// needed reports whether there is anything to mail, and where not, why.
func needed(n *tocsin.Notice) (why string, ok bool) {
	if n.Incident.Kind == tocsin.KindNotice {
		return "", n.Delivery.Ref == "" || n.Call
	}
	if n.Incident.State == tocsin.Resolved && n.Delivery.Ref == "" && !n.MayBePosted {
		return "resolved before it could be mailed: not sent", false
	}
	if d := &n.Delivery; d.User != "" && d.Ref != "" && d.State == tocsin.Resolved && n.Incident.State == tocsin.Triggered && !n.Call {
		return "", false // it fires again, and those whose turn it is are called
	}
	return "", true
}

// subject never changes within a thread.
func subject(n *tocsin.Notice, t thread) string {
	title := literal(titleOf(n))
	if n.Incident.Kind == tocsin.KindNotice {
		return clip(title, maxSubject)
	}
	before, after := "", fmt.Sprintf(" (%s)", literal(line(n.Incident.ID, 32)))
	if t.severity.Rank() > 0 {
		before = fmt.Sprintf("[%s] ", t.severity)
	}
	return before + clip(title, maxSubject-len(before)-len(after)) + after
}

// literal keeps a text that looks like an encoded word (RFC 2047) from being
// decoded by who reads the header: it may hold line breaks then.
func literal(s string) string { return strings.ReplaceAll(s, "=?", "= ?") }

func titleOf(n *tocsin.Notice) string {
	title := line(n.Incident.Title, maxSubject)
	if title == "" && len(n.Alerts) > 0 {
		title = line(n.Alerts[0].Summary(), maxSubject)
	}
	return cmp.Or(title, "Incident "+line(n.Incident.ID, 40))
}

// headline says in a few words why this mail was sent; empty: the title does.
func headline(n *tocsin.Notice, first bool) string {
	i, d := n.Incident, &n.Delivery
	switch {
	case i.Kind == tocsin.KindNotice:
		return ""
	case i.State == tocsin.Resolved:
		return "Resolved" + by(i.ResolvedBy)
	case i.State == tocsin.Acknowledged && n.Call && d.State == tocsin.Acknowledged:
		return "Still open, acknowledged" + by(i.AcknowledgedBy) + ": calling again"
	case i.State == tocsin.Acknowledged:
		return "Acknowledged" + by(i.AcknowledgedBy)
	case first:
		return ""
	case d.State == tocsin.Resolved:
		return "It fires again"
	case d.Severity.Rank() > 0 && i.Severity.Rank() > d.Severity.Rank():
		return fmt.Sprintf("Severity raised from %s to %s", d.Severity, i.Severity)
	case d.Severity.Rank() > 0 && i.Severity != d.Severity && i.Severity.Rank() > 0:
		return fmt.Sprintf("Severity lowered from %s to %s", d.Severity, i.Severity)
	case d.State == tocsin.Acknowledged:
		return "Not acknowledged any more"
	case n.Call && d.Ref != "":
		return "Still not acknowledged: calling again"
	}
	return news(n)
}

// news is the last event that people should be told of.
func news(n *tocsin.Notice) string {
	for k := len(n.Events) - 1; k >= 0; k-- {
		if e := &n.Events[k]; e.Loud() || e.Kind == tocsin.EventFlapping {
			return line(e.Text, 120)
		}
	}
	return "Still not acknowledged"
}

func by(name string) string {
	if name = line(name, 60); name == "" {
		return ""
	}
	return " by " + name
}
