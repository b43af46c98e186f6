package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tocsin-oncall/tocsin/client"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: ${enum}."`
}

// Help is shown by --help.
func (completionCmd) Help() string {
	return "The script asks tocsin for what fits: commands, flags, and the IDs of open incidents.\n\n" +
		"Example: tocsin completion bash > /etc/bash_completion.d/tocsin"
}

// completions are what each shell is told. The words are asked of `tocsin complete`.
var completions = map[string]string{
	"bash": `_tocsin() {
	local IFS=$'\n'
	COMPREPLY=($(tocsin complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _tocsin tocsin
`,
	"zsh": `#compdef tocsin
_tocsin() {
	local -a fits
	fits=("${(@f)$(tocsin complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ -n "$fits" ]]; then compadd -a fits; else _files; fi
}
if [[ "${funcstack[1]}" == "_tocsin" ]]; then _tocsin "$@"; else compdef _tocsin tocsin; fi
`,
	"fish": `function __tocsin
	set -l fits (tocsin complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)
	if set -q fits[1]
		printf '%s\n' $fits
	else
		__fish_complete_path (commandline -ct)
	end
end
complete -c tocsin -f -a '(__tocsin)'
`,
}

// Run prints the script.
func (c *completionCmd) Run(e *env) error {
	_, err := io.WriteString(e.out, completions[c.Shell])
	return err
}

// completeCmd is what the scripts ask.
type completeCmd struct {
	Words []string `arg:"" optional:"" passthrough:"" help:"The words so far, the last of which is to be completed."`
}

// Run prints what fits, a line each.
func (c *completeCmd) Run(ctx context.Context, e *env) error {
	parser, err := newParser(&cli{}, io.Discard, io.Discard, func(int) {})
	if err != nil {
		return err
	}
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	for _, fit := range fits(ctx, placeOf(parser.Model.Node, words[:len(words)-1]), last) {
		fmt.Fprintln(e.out, fit)
	}
	return nil
}

// place is where in a command line the next word stands.
type place struct {
	node *kong.Node
	// flag wants the word as its value; nil: none does.
	flag *kong.Flag
	// argument counts the words since the command, that are no flags.
	argument int
}

// placeOf reads the words so far.
func placeOf(root *kong.Node, words []string) place {
	p := place{node: root}
	for _, w := range words {
		switch child := childOf(p.node, w); {
		case p.flag != nil && w == "=": // bash takes --flag=value apart
		case p.flag != nil:
			p.flag = nil
		case strings.HasPrefix(w, "-"):
			p.flag = flagOf(p.node, w)
		case child != nil:
			p.node, p.argument = child, 0
		default:
			p.argument++
		}
	}
	return p
}

func childOf(n *kong.Node, name string) *kong.Node {
	if i := slices.IndexFunc(n.Children, func(c *kong.Node) bool { return c.Name == name }); i >= 0 {
		return n.Children[i]
	}
	return nil
}

// flagOf returns the flag that wants a value, and has none yet; or nil.
func flagOf(n *kong.Node, word string) *kong.Flag {
	for _, group := range n.AllFlags(false) {
		for _, f := range group {
			if (word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short)) && !f.IsBool() {
				return f
			}
		}
	}
	return nil
}

// fits returns what the last word may become.
func fits(ctx context.Context, p place, last string) []string {
	var all []string
	name, _, given := strings.Cut(last, "=")
	switch {
	case p.flag != nil:
		all, last = valuesOf(p.flag.Value), strings.TrimPrefix(last, "=")
	case strings.HasPrefix(last, "-") && given:
		if f := flagOf(p.node, name); f != nil {
			for _, v := range valuesOf(f.Value) {
				all = append(all, name+"="+v)
			}
		}
	case strings.HasPrefix(last, "-"):
		for _, group := range p.node.AllFlags(true) {
			for _, f := range group {
				all = append(all, "--"+f.Name)
			}
		}
	default:
		all = p.words(ctx)
	}
	all = slices.DeleteFunc(all, func(s string) bool { return !strings.HasPrefix(s, last) })
	slices.Sort(all)
	return slices.Compact(all)
}

// words are the commands, or what the next argument may be.
func (p *place) words(ctx context.Context) []string {
	var all []string
	for _, c := range p.node.Children {
		if !c.Hidden && p.argument == 0 {
			all = append(all, c.Name)
		}
	}
	arguments := p.node.Positional
	if len(arguments) == 0 {
		return all
	}
	n := p.argument
	if last := len(arguments) - 1; n > last {
		if !arguments[last].IsCumulative() {
			return all
		}
		n = last
	}
	all = append(all, valuesOf(arguments[n])...)
	if isIncident(arguments[n]) {
		all = append(all, openIncidents(ctx)...)
	}
	return all
}

// isIncident reports whether an argument is an incident's ID.
func isIncident(v *kong.Value) bool {
	return v.Name == "incident" || v.Name == "id" && strings.HasPrefix(v.Help, "The incident")
}

// valuesOf are the values that there are, where they are few.
func valuesOf(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return v.EnumSlice()
}

// completeWithin bounds how long a shell waits for the server.
const completeWithin = time.Second

// openIncidents are the IDs of the incidents of the server that the environment
// names; none where it cannot be asked.
func openIncidents(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, completeWithin)
	defer cancel()
	list, err := serverOfEnvironment().Incidents(ctx, client.IncidentQuery{})
	if err != nil {
		return nil
	}
	var ids []string
	for _, inc := range list.Incidents {
		ids = append(ids, inc.ID)
	}
	return ids
}
