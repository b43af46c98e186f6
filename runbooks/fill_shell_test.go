package runbooks_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-oncall/tocsin"
)

// How a place takes values.
const (
	takesAll  = iota // every value that may be pasted at all
	takesBare        // words without special characters
	takesNone
)

// place is a command that prints words, each ended by NUL, and what they are: V
// stands for the value.
type place struct {
	text  string
	words []string
	takes int
	bash  bool // POSIX shells do not know it
}

const p0 = `printf '%s\0' `

var places = []place{
	// Bare, alone and within a word.
	{text: p0 + "<x>", words: []string{"V"}},
	{text: p0 + "$x", words: []string{"V"}},
	{text: p0 + "${x}", words: []string{"V"}},
	{text: p0 + "{{ $labels.x }} {{ x }}", words: []string{"V", "V"}},
	{text: p0 + "a<x>b", words: []string{"aVb"}},
	{text: p0 + "--opt=<x>", words: []string{"--opt=V"}},
	{text: p0 + "<x>=1", words: []string{"V=1"}},
	{text: p0 + "k=<x>,l=<x>", words: []string{"k=V,l=V"}},
	{text: p0 + "<x>#b", words: []string{"V#b"}},
	{text: p0 + "a<x>[b]", words: []string{"aV[b]"}},
	{text: p0 + "a{<x>}", words: []string{"a{V}"}},
	{text: p0 + `a\ <x>`, words: []string{"a V"}},
	{text: p0 + `\\<x>`, words: []string{`\V`}},
	{text: p0 + `it\'s <x>`, words: []string{"it's", "V"}},
	{text: p0 + "a \\\n<x> \\\nb", words: []string{"a", "V", "b"}},
	{text: p0 + "<x>; :", words: []string{"V"}},
	{text: p0 + "<x>&&:", words: []string{"V"}},
	{text: p0 + "<x> >&1", words: []string{"V"}},
	{text: p0 + "<x>>&1", words: []string{"V"}},
	{text: "(" + p0 + "<x>)", words: []string{"V"}},
	{text: "{ " + p0 + "<x>; }", words: []string{"V"}},
	{text: "f() { " + p0 + `"$@"; }; f <x> '<x>'`, words: []string{"V", "V"}},
	{text: "if :; then " + p0 + "<x>; fi", words: []string{"V"}},
	{text: "for i in 1 2; do " + p0 + "<x>$i; done", words: []string{"V1", "V2"}},
	{text: "W=1; " + p0 + "$W<x>", words: []string{"1V"}},
	{text: "set -- <x> b; " + p0 + `"$#" "$1"`, words: []string{"2", "V"}},
	// Single quotes.
	{text: p0 + "'<x>'", words: []string{"V"}},
	{text: p0 + "'$x'", words: []string{"V"}},
	{text: p0 + "'{{ .Labels.x }}'", words: []string{"V"}},
	{text: p0 + "'a <x> b'", words: []string{"a V b"}},
	{text: p0 + "'a\n<x>\nb'", words: []string{"a\nV\nb"}},
	{text: p0 + "'<x>'a'<x>'", words: []string{"VaV"}},
	// Double quotes.
	{text: p0 + `"<x>"`, words: []string{"V"}},
	{text: p0 + `"$x"`, words: []string{"V"}},
	{text: p0 + `"${x}"`, words: []string{"V"}},
	{text: p0 + `"{{ .Labels.x }}"`, words: []string{"V"}},
	{text: p0 + `"a <x> b"`, words: []string{"a V b"}},
	{text: p0 + `"\\<x>"`, words: []string{`\V`}},
	{text: p0 + `"it's <x>"`, words: []string{"it's V"}},
	{text: "W=1; " + p0 + `"$W<x>"`, words: []string{"1V"}},
	{text: p0 + `'' <x> "<x>" '<x>'`, words: []string{"", "V", "V", "V"}},
	// Substitutions.
	{text: p0 + `"$(printf '%s.' <x>)"`, words: []string{"V."}},
	{text: p0 + `"$(printf '%s.' "<x>")"`, words: []string{"V."}},
	{text: p0 + `"$(printf '%s.' '<x>')" '<x>'`, words: []string{"V.", "V"}},
	{text: p0 + `"$(printf '%s.' "$(printf '%s.' <x>)")"`, words: []string{"V.."}},
	{text: p0 + "\"`printf '%s.' <x>`\"", words: []string{"V."}, takes: takesBare},
	{text: p0 + "<x> | cat", words: []string{"V"}},
	{text: "cat < <(" + p0 + "<x>)", words: []string{"V"}, bash: true},
	// Comments are not touched.
	{text: p0 + "<x> # it's <x>", words: []string{"V"}},
	{text: "# it's \"<x>\n" + p0 + "'<x>'", words: []string{"V"}},
	{text: p0 + "a\\\n#'b' <x>", words: []string{"a#b", "V"}},
	// Here-documents.
	{text: "cat <<E\n<x>\nE\n" + p0, words: []string{"V\n"}, takes: takesBare},
	{text: "cat <<'E'\na <x> b\nE\n" + p0, words: []string{"a V b\n"}, takes: takesBare},
	{text: "cat <<-E >/dev/null\n\t<x>\n\tE\n" + p0 + "<x>", words: []string{"V"}, takes: takesBare},
	{text: "cat <<'it s' >/dev/null\nit's\nit s\n" + p0 + "<x>", words: []string{"V"}},
	{text: "cat <<A <<B >/dev/null; " + p0 + "<x>\n'\nA\n\"\nB\n" + p0 + "'<x>'", words: []string{"V", "V"}},
	{text: p0 + "\"$(cat <<E\nit's\nE\n)\" <x>", words: []string{"it's", "V"}},
	{text: p0 + "<<<a <x>", words: []string{"V"}, bash: true},
	// What a variable keeps, and what a loop goes through, may be used unquoted.
	{text: "V=<x>; " + p0 + "$V", words: []string{"V"}, takes: takesBare},
	{text: "V='<x>'; " + p0 + "$V", words: []string{"V"}, takes: takesBare},
	{text: "A=1 V=\"<x>\"; " + p0 + "$V", words: []string{"V"}, takes: takesBare},
	{text: "export V=<x>; " + p0 + "$V", words: []string{"V"}, takes: takesBare},
	{text: "for i in <x>; do " + p0 + "$i; done", words: []string{"V"}, takes: takesBare},
	{text: "V=(<x>); " + p0 + "${V[@]}", words: []string{"V"}, takes: takesBare, bash: true},
	// What is read once more.
	{text: p0 + `'{"n": "<x>"}'`, words: []string{`{"n": "V"}`}, takes: takesBare},
	{text: p0 + `"{\"n\": \"<x>\"}"`, words: []string{`{"n": "V"}`}, takes: takesBare},
	{text: p0 + `'{"n": "'<x>'"}'`, words: []string{`{"n": "V"}`}, takes: takesBare},
	{text: "sh -c '" + `printf "%s\0" <x>'`, words: []string{"V"}, takes: takesBare},
	{text: "eval \"printf '%s\\0' <x>\"", words: []string{"V"}, takes: takesBare},
	{text: "case <x> in *) " + p0 + "'<x>';; esac", words: []string{"V"}, takes: takesBare},
	{text: p0 + `"$(case a in a) printf '%s.' <x>;; esac)"`, words: []string{"V."}, takes: takesBare},
	{text: "[ a = <x> ]; " + p0 + "<x>", words: []string{"V"}, takes: takesBare},
	// Where braces and quotes in expansions mislead.
	{text: p0 + `${y:-"}"} "<x>" ${y:-"}"}`, words: []string{"}", "V", "}"}, takes: takesBare},
	{text: p0 + "`printf '%s' '}'` <x>", words: []string{"}", "V"}},
	{text: p0 + `$((1+(2))) <x>`, words: []string{"3", "V"}, takes: takesBare},
	{text: "V=$((1<<2)); " + p0 + `<x>`, words: []string{"V"}, takes: takesBare},
	{text: p0 + `$'it\'s' <x>`, words: []string{"it's", "V"}, takes: takesBare, bash: true},
	// Where nothing is ever put.
	{text: p0 + "$((<x>))", takes: takesNone},
	{text: p0 + "$((1+(2)+<x>))", takes: takesNone},
	{text: p0 + "${y:-<x>}", takes: takesNone},
	{text: p0 + "$[<x>]", takes: takesNone, bash: true},
	{text: "V[<x>]=1; " + p0, takes: takesNone, bash: true},
	{text: "V=([<x>]=1); " + p0, takes: takesNone, bash: true},
	{text: "((V = <x>)); " + p0, takes: takesNone, bash: true},
	{text: p0 + "$'<x>'", takes: takesNone, bash: true},
	{text: p0 + "~<x>", takes: takesNone},
	{text: p0 + "$<x>", takes: takesNone},
}

var atoms = []string{
	"'", `"`, "`", "$", `\`, ";", "&", "|", "<", ">", "(", ")", "{", "}", "[", "]", "*", "?", "!", "#", "~", "=", "%", "^", ",", ".", ":", "/", "@", "+", "-", " ",
	"\n", "\t", "a", "b1", "é", "名", "$(id)", "`id`", "$x", "${IFS}", "$((1))", "a[$(id)]", "'; rm -rf / #", `"; id; "`, "\\'", "'\\''", "''", "E", "A", "done", "esac",
	"fi", ";;", "<<E", "\nE\n", "EOF", "\\\n", "#", "%s", "%n", "-n", "--", "~root", "{a,b}", "{1..3}", "=ls", "!!", "!x", "\n^a^b", "\u202e", "\u200b", "\u2028", "\x1b[31m", "\r",
	"\x00", "\x7f", "\xff", "$'\\n'", "case", "\" '", "' \"", "}}", "{{", "]]", "))", "/etc/passwd", "..", "10.0.0.1:9100", "node-3",
}

func hostileValue(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(4) {
		b.WriteString(atoms[r.IntN(len(atoms))])
	}
	return b.String()
}

// pasted reports whether a value may be pasted into a terminal.
func pasted(v string) bool {
	return v != "" && strings.ToValidUTF8(v, "") == v && !strings.ContainsAny(v, "\t\r\x1b\x7f\u202e") && !strings.HasPrefix(v, "-") && !strings.HasPrefix(v, "+") &&
		!strings.Contains(v, "!") && v[0] != '^' && !(strings.Contains(v, "\n") && strings.Contains(v, "^"))
}

// A trial is a filled command and the words it must print.
type trial struct {
	value, text string
	want        []string
}

// trial puts a value into a place. It is false where there is nothing to run.
func (p place) trial(t *testing.T, value string) (trial, bool) {
	got := fillOne("bash", p.text, tocsin.Labels{"x": value})
	value = strings.ReplaceAll(value, "\x00", "")
	if len(got.Unfilled) > 0 {
		for _, u := range got.Unfilled {
			require.Contains(t, got.Text, u, "what is told to be left is left")
		}
		bare := pasted(value) && strings.Trim(value, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
		needed := p.takes == takesAll && pasted(value) || p.takes == takesBare && bare && len(value) > 1 && !slices.Contains([]string{"done", "esac", "fi", "case"}, value)
		require.False(t, needed, "%q was left out of %s", value, p.text)
		return trial{}, false
	}
	if value == "" { // in single quotes, $x may be some program's own then
		return trial{}, false
	}
	require.NotEqual(t, takesNone, p.takes, "%q was put into %s", value, p.text)
	tr := trial{value: value, text: got.Text}
	for _, w := range p.words {
		tr.want = append(tr.want, strings.ReplaceAll(w, "V", value))
	}
	return tr, true
}

// shells are those of this machine, with how they read a script from standard
// input.
func shells(t *testing.T) map[string][]string {
	out, seen := map[string][]string{}, map[string]bool{}
	for _, name := range []string{"dash", "bash", "busybox", "ksh", "mksh", "yash", "sh"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if file, err := filepath.EvalSymlinks(path); err != nil || seen[file] && name == "sh" {
			continue
		} else {
			seen[file] = true
		}
		args := map[string][]string{"bash": {"--norc", "--noprofile", "-s"}, "busybox": {"sh", "-s"}}[name]
		if args == nil {
			args = []string{"-s"}
		}
		out[name] = append([]string{path}, args...)
	}
	if len(out) == 0 {
		t.Skip("no shell on this machine")
	}
	return out
}

// history makes bash read as it does what is typed: it looks for the history's !
// and ^ before anything else.
const history = "HISTFILE= ; set -o history; set -H\n"

// runAll gives the commands to one shell and returns what each printed.
func runAll(argv []string, prelude string, trials []trial) (outputs []string, stderr string) {
	var in bytes.Buffer
	in.WriteString(prelude)
	for n, tr := range trials {
		fmt.Fprintf(&in, "unset V W y\n%s\nprintf '\\001%%s\\001' %d\n", tr.text, n)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=/bin:/usr/bin", "LC_ALL=C.UTF-8"}
	cmd.Dir = "/"
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &errOut
	_ = cmd.Run() // what it printed tells
	rest := out.String()
	for n := range trials {
		text, after, _ := strings.Cut(rest, fmt.Sprintf("\001%d\001", n))
		outputs, rest = append(outputs, text), after
	}
	return outputs, errOut.String()
}

// What the shell reads is exactly the label's bytes, as part of exactly one word,
// wherever the placeholder stands; or nothing was put there.
func TestFilledCommandsMeanTheLabel(t *testing.T) {
	t.Parallel()
	values := 24_000
	if testing.Short() || raceEnabled {
		values = 4_000
	}
	found := shells(t)
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test that can be repeated
	var posix, bash []trial
	filledBy := map[string]int{}
	for n := range values {
		v := hostileValue(r)
		for _, p := range []place{places[n%len(places)], places[r.IntN(len(places))]} {
			tr, ok := p.trial(t, v)
			switch {
			case !ok:
			case p.bash:
				bash = append(bash, tr)
			default:
				posix = append(posix, tr)
			}
			if ok {
				filledBy[p.text]++
			}
		}
	}
	for _, p := range places {
		assert.True(t, filledBy[p.text] > 0 || p.takes == takesNone, "nothing was ever put into %s", p.text)
	}
	check := func(name string, argv []string, prelude string, trials []trial) {
		const batch = 1000
		for start := 0; start < len(trials); start += batch {
			part := trials[start:min(start+batch, len(trials))]
			outputs, stderr := runAll(argv, prelude, part)
			for n, tr := range part {
				want := strings.Join(tr.want, "\x00") + "\x00"
				if strings.HasSuffix(tr.text, p0) { // a here-document prints without it
					want = strings.Join(tr.want, "") + "\x00"
				}
				if outputs[n] != want {
					t.Fatalf("%s: %q in\n%s\nprinted %q, not %q; %.500s", name, tr.value, tr.text, outputs[n], want, stderr)
				}
			}
		}
	}
	for name, argv := range found {
		check(name, argv, "", posix)
		if name == "bash" {
			check(name, argv, "", bash)
			check(name+", typed", argv, history, posix[:len(posix)/4])
		}
	}
	t.Logf("%d filled commands in %d shells", len(posix)+len(bash), len(found))
}
