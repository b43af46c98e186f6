package command

import (
	"context"
	"slices"
	"strings"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// command is a word that can be typed.
type command struct {
	name string
	// also are other names for it.
	also []string
	// right is what it takes: where it concerns what the command names, or, where
	// may is there, as that says.
	right tocsin.Right
	may   func(*tocsin.Principal, tocsin.Right) bool
	// prose commands end in words of the person's own: public is read in front of
	// them only.
	prose bool
	// usage and examples are without /tocsin.
	usage, examples []string
	says            string
	do              func(*Desk, context.Context, *call) ([]string, error)
}

// commands are all of them, as help shows them.
func commands() []command {
	return slices.Concat(incidentCommands(), workCommands(), dutyCommands(), []command{
		{
			name: "status", right: tocsin.RightView, may: (*tocsin.Principal).May, usage: []string{"status"}, examples: []string{"status"},
			says: "how Tocsin itself is", do: (*Desk).status,
		},
		{
			name: "help", also: []string{"?", "usage"}, right: tocsin.RightView, usage: []string{"help [COMMAND]"}, examples: []string{"help", "help snooze"},
			says: "all commands, or one with examples", do: (*Desk).help,
		},
	})
}

func incidentCommands() []command {
	return []command{
		{
			name: "list", also: []string{"ls", "incidents"}, right: tocsin.RightView,
			usage:    []string{"list [mine|open|triggered|acknowledged|resolved|all] [page N]"},
			examples: []string{"list", "list mine", "list all page 2"}, says: "the open incidents, or others", do: (*Desk).list,
		},
		{
			name: "show", right: tocsin.RightView, usage: []string{"show ID"}, examples: []string{"show k7f3q9"},
			says: "one incident: alerts, who was called, what comes next, the latest events", do: (*Desk).show,
		},
		{
			name: "why", right: tocsin.RightView, usage: []string{"why ID"}, examples: []string{"why k7f3q9"},
			says: "why it called you, or did not", do: (*Desk).why,
		},
		{
			name: "ack", also: []string{"acknowledge"}, right: tocsin.RightRespond, prose: true,
			usage: []string{"ack ID [force] [NOTE]"}, examples: []string{"ack k7f3q9", "ack k7f3q9 looking at it"},
			says: "take it: nobody else is called", do: (*Desk).acknowledge,
		},
		{
			name: "unack", also: []string{"unacknowledge"}, right: tocsin.RightRespond,
			usage: []string{"unack ID [force]"}, examples: []string{"unack k7f3q9"}, says: "give it back: it calls again", do: (*Desk).unacknowledge,
		},
		{
			name: "resolve", also: []string{"close"}, right: tocsin.RightRespond, prose: true,
			usage: []string{"resolve ID [force] [NOTE]"}, examples: []string{"resolve k7f3q9 disk replaced", "resolve k7f3q9 force"},
			says: "close it; with force what still fires, too", do: (*Desk).resolve,
		},
		{
			name: "reopen", right: tocsin.RightRespond, usage: []string{"reopen ID"}, examples: []string{"reopen k7f3q9"},
			says: "bring a resolved one back", do: (*Desk).reopen,
		},
		{
			name: "snooze", right: tocsin.RightRespond, usage: []string{"snooze ID DURATION", "snooze ID until TIME"},
			examples: []string{"snooze k7f3q9 2h", "snooze k7f3q9 until 09:00", "snooze k7f3q9 until tomorrow 09:00"},
			says:     "be quiet about it for a while", do: (*Desk).snooze,
		},
		{
			name: "escalate", also: []string{"esc"}, right: tocsin.RightRespond, prose: true,
			usage:    []string{"escalate ID [step N|@PERSON|SCHEDULE|POLICY] [WHY]"},
			examples: []string{"escalate k7f3q9", "escalate k7f3q9 @bo needs a DBA", "escalate k7f3q9 step 2"},
			says:     "call the next ones now, or somebody by name", do: (*Desk).escalate,
		},
		{
			name: "reassign", also: []string{"assign"}, right: tocsin.RightRespond, prose: true,
			usage: []string{"reassign ID @PERSON|SCHEDULE|POLICY [WHY]"}, examples: []string{"reassign k7f3q9 @bo"},
			says: "hand it to somebody else: the others are not called any more", do: (*Desk).reassign,
		},
		{
			name: "add", also: []string{"add-responder", "invite"}, right: tocsin.RightRespond, prose: true,
			usage: []string{"add ID @PERSON|SCHEDULE [WHY]"}, examples: []string{"add k7f3q9 @bo knows the database"},
			says: "call somebody to help", do: (*Desk).add,
		},
		{
			name: "note", also: []string{"comment"}, right: tocsin.RightRespond, prose: true,
			usage: []string{"note ID TEXT"}, examples: []string{"note k7f3q9 the vendor is on the phone"}, says: "write on its timeline", do: (*Desk).note,
		},
		{
			name: "severity", right: tocsin.RightRespond, usage: []string{"severity ID critical|error|warning|info"},
			examples: []string{"severity k7f3q9 critical"}, says: "change how urgent it is", do: (*Desk).severity,
		},
		{
			name: "merge", right: tocsin.RightRespond, usage: []string{"merge ID into ID"}, examples: []string{"merge k7f3q9 into m2x8p4"},
			says: "have another incident page for it", do: (*Desk).merge,
		},
		{
			name: "unmerge", right: tocsin.RightRespond, usage: []string{"unmerge ID"}, examples: []string{"unmerge k7f3q9"},
			says: "have it page for itself again", do: (*Desk).unmerge,
		},
		{
			name: "channel", right: tocsin.RightRespond, usage: []string{"channel ID"}, examples: []string{"channel k7f3q9"},
			says: "open a channel of its own", do: (*Desk).channel,
		},
		{
			name: "page", also: []string{"call", "declare"}, right: tocsin.RightRespond, may: (*tocsin.Principal).MaySomewhere, prose: true,
			usage:    []string{"page [receiver RECEIVER] @PERSON|SCHEDULE|POLICY WHAT IS WRONG"},
			examples: []string{"page @bo the database is down", "page primary customers cannot pay", "page receiver dba @bo the database is down"},
			says:     "open an incident by hand, and call somebody", do: (*Desk).page,
		},
	}
}

func workCommands() []command {
	return []command{
		{
			name: "runbook", also: []string{"runbooks"}, right: tocsin.RightView, usage: []string{"runbook ID", "runbook NAME"},
			examples: []string{"runbook k7f3q9", "runbook node down"}, says: "the steps for an incident, or of a runbook by its title", do: (*Desk).runbook,
		},
		{
			name: "step", right: tocsin.RightRespond, prose: true, usage: []string{"step ID N done|start|skip|open [NOTE]"},
			examples: []string{"step k7f3q9 2 done", "step k7f3q9 3 skip the disk is fine"},
			says:     "say where a step of its runbook stands", do: (*Desk).step,
		},
	}
}

func dutyCommands() []command {
	return []command{
		{
			name: "oncall", also: []string{"on-call", "who"}, right: tocsin.RightView, usage: []string{"oncall [SCHEDULE]"},
			examples: []string{"oncall", "oncall primary"}, says: "who is on call now, and on one schedule who comes next", do: (*Desk).oncall,
		},
		{
			name: "override", also: []string{"overrides"}, right: tocsin.RightView, prose: true,
			usage: []string{
				"override list [page N]",
				"override add SCHEDULE @PERSON [replaces @PERSON|beside] [from TIME] to TIME|for DURATION [COMMENT]",
				"override cancel ID",
			},
			examples: []string{
				"override add primary @me for 2h", "override add primary @bo from 18:00 to tomorrow 09:00 at the dentist",
				"override cancel m2x8p4", "override list",
			},
			says: "put somebody on call for a while", do: (*Desk).override,
		},
		{
			name: "handoff", right: tocsin.RightView, usage: []string{"handoff [SCHEDULE]"}, examples: []string{"handoff", "handoff primary"},
			says: "what the next one on call should know", do: (*Desk).handoff,
		},
		{
			name: "silence", also: []string{"mute"}, right: tocsin.RightView, may: (*tocsin.Principal).MaySilenceSome, prose: true,
			usage: []string{"silence MATCHERS for DURATION COMMENT", "silence MATCHERS until TIME COMMENT", "silence expire ID"},
			examples: []string{
				`silence alertname=NodeDown region=~"eu-.*" for 2h the network is being changed`,
				"silence instance=node-7 until tomorrow 09:00 disk swap", "silence expire m2x8p4",
			},
			says: "have alerts page nobody for a while", do: (*Desk).silence,
		},
		{
			name: "silences", right: tocsin.RightView, may: (*tocsin.Principal).MaySilenceSome, usage: []string{"silences [all] [page N]"}, examples: []string{"silences", "silences all"},
			says: "the silences in force and to come; with all, the expired ones too", do: (*Desk).silences,
		},
	}
}

// lookup reads the command's own word. No word at all asks for help.
func lookup(l *line) (*command, error) {
	all := commands()
	w, ok := l.next()
	if !ok {
		w.text = "help"
	}
	if c := find(all, w); c != nil {
		return c, nil
	}
	return nil, unknown(all, w.text)
}

func find(all []command, w word) *command {
	for n := range all {
		if w.is(all[n].name) || w.is(all[n].also...) {
			return &all[n]
		}
	}
	return nil
}

func unknown(all []command, text string) error {
	var names []string
	for n := range all {
		names = append(append(names, all[n].name), all[n].also...)
	}
	near := find(all, word{text: nearest(text, names)})
	if near == nil {
		return wrong("There is no command %s. All of them: %s", quote(text), typed("help"))
	}
	said := "There is no command " + quote(text) + ". Did you mean " + quote(near.name) + "?"
	for _, line := range near.usageLines() {
		said += "\n" + line
	}
	return wrong("%s\nAll commands: %s", said, typed("help"))
}

// usageLines say how the command is typed.
func (c *command) usageLines() []string {
	var lines []string
	for _, u := range c.usage {
		lines = append(lines, "Usage: "+typed(u))
	}
	return append(lines, "Example: "+typed(c.examples[0]))
}

// help shows all commands, or one.
func (d *Desk) help(_ context.Context, c *call) ([]string, error) {
	all := commands()
	w, ok := c.next()
	if !ok {
		lines := []string{"*Commands*, here behind " + slack.Code("/tocsin", 20) + ", to a mention, or in the direct messages:"}
		for n := range all {
			var ways []string
			for _, u := range all[n].usage {
				ways = append(ways, slack.Code(u, 120))
			}
			lines = append(lines, strings.Join(ways, ", ")+": "+all[n].says)
		}
		return append(lines, "More of one: "+typed("help snooze")+". Begin with "+quote("public")+" to show the answer to everybody: "+typed("public list")+"."), nil
	}
	one := find(all, w)
	if one == nil {
		return nil, unknown(all, w.text)
	}
	lines := []string{"*" + one.name + "*: " + one.says + "."}
	for _, u := range one.usage {
		lines = append(lines, "Usage: "+typed(u))
	}
	for _, e := range one.examples {
		lines = append(lines, "Example: "+typed(e))
	}
	if len(one.also) > 0 {
		also := "Also:"
		for _, a := range one.also {
			also += " " + slack.Code(a, 40)
		}
		lines = append(lines, also)
	}
	return lines, nil
}

// end returns an error if words are left that nothing was made of. Where a command
// has not ended in prose after all, public may be the last one.
func (c *call) end() error {
	left := c.left()
	if len(left) == 1 && c.take("public") {
		c.public = true
		return nil
	}
	if len(left) > 0 {
		return wrong("what is %s?", quote(left[0].text))
	}
	return nil
}
