package remediation_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation"
)

// wild has a parameter that takes anything, one that takes names, and JSON.
func wild(t testing.TB) *remediation.Rules {
	t.Helper()
	rules, err := remediation.NewRules([]remediation.Spec{remedy(tocsin.ModeAuto, func(s *remediation.Spec) {
		s.Command = []string{restart, "{{any}}", "--any={{any}}", "{{name}}/{{any}}", "fixed"}
		s.Parameters = []remediation.Parameter{{Name: "any", Pattern: `(?s).*`}, {Name: "name"}}
		s.Stdin, s.Contract = remediation.StdinJSON, remediation.Contract{}
	})})
	require.NoError(t, err)
	return rules
}

var named = regexp.MustCompile(`\A` + remediation.DefaultPattern + `\z`)

// hostile are pieces that label values are made of.
var hostile = []string{
	"'; rm -rf / #", "$(id)", "`id`", "-rf", "--", "{{name}}", "{{any}}", "{{", "}}", "\x00", "\n", "\r\n", "\"", "'", "\\", "\xff", "\xc3\x28",
	"é", "\u2028", "\u202e", "🦀", "PATH=/tmp", "LD_PRELOAD=/x.so", "a", "node-3", "10.0.0.1:9100", "/", "..", "%s", "*", "|", "&", ";", " ", "\t", "",
	"<script>", "\x1b[31m", strings.Repeat("A", 300), strings.Repeat("B", 1025),
}

func hostileValue(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(4) {
		if r.IntN(4) == 0 {
			for range r.IntN(12) {
				b.WriteByte(byte(r.IntN(256)))
			}
			continue
		}
		b.WriteString(hostile[r.IntN(len(hostile))])
	}
	return b.String()
}

// TestAMillionHostileLabelValues: argv, environment and stdin hold exactly the
// label's bytes, or the run is refused.
func TestAMillionHostileLabelValues(t *testing.T) {
	t.Parallel()
	n := 1_000_000
	if testing.Short() || raceEnabled {
		n = 100_000
	}
	rules := wild(t)
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test that can be repeated
	passed := 0
	for range n {
		value, name := hostileValue(r), "node-3"
		if r.IntN(2) == 0 {
			name = hostileValue(r)
		}
		a := tocsin.Alert{Labels: tocsin.Labels{"any": value, "name": name, "PATH": "/tmp", "LD_PRELOAD": "/x.so"}}
		c, err := rules.Fill("restart-node", &a)
		fits := value != "" && value[0] != '-' && utf8.ValidString(value) && !strings.Contains(value, "\x00") && len(value) <= 1024 &&
			named.MatchString(name) && name[0] != '-' && !slices.Contains(strings.Split(name, "/"), "..")
		if (err == nil) != fits {
			t.Fatalf("%q, %q: %v", value, name, err)
		}
		if err != nil {
			continue
		}
		passed++
		if len(c.Argv) != 5 || c.Argv[0] != restart || c.Argv[1] != value || c.Argv[2] != "--any="+value || c.Argv[3] != name+"/"+value || c.Argv[4] != "fixed" {
			t.Fatalf("%q, %q: %q", value, name, c.Argv)
		}
		if len(c.Environment) != 1 || c.Environment[0] != "KUBECONFIG=/etc/tocsin/kubeconfig" {
			t.Fatalf("%q: %q", value, c.Environment)
		}
		var in struct {
			Parameters map[string]string
			Alert      struct{ Labels map[string]string }
		}
		if passed%8 == 0 { // decoding is what takes the time
			if err := json.Unmarshal(c.Stdin, &in); err != nil || in.Parameters["any"] != value || in.Alert.Labels["any"] != value {
				t.Fatalf("%q: %s: %v", value, c.Stdin, err)
			}
		}
		if bytes.Count(c.Stdin, []byte("\n")) != 1 {
			t.Fatalf("%q: not one line: %s", value, c.Stdin)
		}
	}
	assert.Greater(t, passed, n/20)
	assert.Less(t, passed, n*19/20)
}

func FuzzFill(f *testing.F) {
	for _, h := range hostile {
		f.Add(h, "node-3")
		f.Add("x", h)
	}
	rules := wild(f)
	f.Fuzz(func(t *testing.T, value, name string) {
		c, err := rules.Fill("restart-node", &tocsin.Alert{Labels: tocsin.Labels{"any": value, "name": name}})
		if err != nil {
			return
		}
		require.Equal(t, []string{restart, value, "--any=" + value, name + "/" + value, "fixed"}, c.Argv)
		require.NotContains(t, value, "\x00")
		require.Regexp(t, named, name)
	})
}

func TestAnnotationsThatJSONCannotHoldAreRefused(t *testing.T) {
	t.Parallel()
	rules := wild(t)
	labels := tocsin.Labels{"any": "x", "name": "y"}
	_, err := rules.Fill("restart-node", &tocsin.Alert{Labels: labels, Annotations: tocsin.Labels{"summary": "\xff"}})
	require.ErrorContains(t, err, "not UTF-8")
	_, err = rules.Fill("restart-node", &tocsin.Alert{Labels: labels, Annotations: tocsin.Labels{"summary": strings.Repeat("x", 64<<10)}})
	require.ErrorContains(t, err, "bytes of JSON")
}

func TestQueriesAreQuoted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ template, value, want string }{
		{`up{instance="{{v}}"} == 0`, `node-3`, `up{instance="node-3"} == 0`},
		{`up{instance="{{v}}"}`, `"} or vector(1) #`, `up{instance="\"} or vector(1) #"}`},
		{`up{instance='{{v}}'}`, `'} or "x`, `up{instance='\'} or "x'}`},
		{`up{instance="{{v}}"}`, "a\\\n\x01\u2028b", `up{instance="a\\\n\u0001\u2028b"}`},
		{`up{instance=~"{{v}}"}`, `10.0.0.1|.*`, `up{instance=~"10\\.0\\.0\\.1\\|\\.\\*"}`},
		{`label_replace(up, "a", "{{v}}", "b", "{{v}}")`, `a.b|$1`, `label_replace(up, "a", "a.b|$$1", "b", "a\\.b\\|\\$1")`},
		{`label_join(up, "a", "{{v}}", "b")`, `.$1`, `label_join(up, "a", ".$1", "b")`},
		{`up{instance !~ 'a.*{{v}}'}`, `b.c`, `up{instance !~ 'a.*b\\.c'}`},
		{`up{a="\"x\\",i="{{v}}:9100"} # ok`, `h`, `up{a="\"x\\",i="h:9100"} # ok`},
		{"up{a=`raw`,i=\"{{v}}\"}", `h`, "up{a=`raw`,i=\"h\"}"},
		{`up{a="\x41{{v}}"}`, `1`, `up{a="\x411"}`},
	} {
		got, err := remediation.FillQuery(c.template, map[string]string{"v": c.value})
		require.NoError(t, err, c.template)
		assert.Equal(t, c.want, got)
	}
	for template, want := range map[string]string{
		`up == {{v}}`:         "outside of quotes",
		"up{i=`{{v}}`}":       "backquotes",
		`up # "{{v}}"`:        "comment",
		`up{i="{{w}}"}`:       "no parameter",
		`up{i="{{v}}`:         "does not end",
		`up{i="{{v`:           "not closed",
		"up{i=`x":             "does not end",
		`up{i="\{{v}}"}`:      "cannot be read",
		`up{i="\x4{{v}}"}`:    "cannot be read",
		`up{i="\u00{{v}}"}`:   "cannot be read",
		`up{i="\'{{v}}"}`:     "cannot be read",
		"up{i=\"{{a\n}}{{v}}": "not closed",
		`{{v}}`:               "outside of quotes",
	} {
		_, err := remediation.FillQuery(template, map[string]string{"v": "x"})
		assert.ErrorContains(t, err, want, template)
	}
}

// TestAValueStaysInItsLiteral: whatever the value, the literal that it is in reads
// back as that value, and what is around it stays.
func TestAValueStaysInItsLiteral(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("\"'\\`{}#\n\r\t\x00\x7f\u2028ax")))).Draw(t, "value")
		got, err := remediation.FillQuery(`up{i="<{{v}}>"} == 0`, map[string]string{"v": value})
		if err != nil {
			t.Fatal(err)
		}
		rest, ok := strings.CutPrefix(got, "up{i=")
		if !ok {
			t.Fatalf("%q", got)
		}
		literal, err := strconv.QuotedPrefix(rest)
		if err != nil || rest[len(literal):] != "} == 0" {
			t.Fatalf("%q: %v", got, err)
		}
		back, err := strconv.Unquote(literal)
		if err != nil || back != "<"+value+">" {
			t.Fatalf("%q is %q: %v", got, back, err)
		}
	})
}

func TestFleetLimit(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 5, remediation.FleetLimit(10, 50))
	assert.Equal(t, 29, remediation.FleetLimit(29, 100))
	assert.Equal(t, 1, remediation.FleetLimit(10, 3))
	assert.Equal(t, 1, remediation.FleetLimit(0.1, 1))
	assert.Equal(t, 7, remediation.FleetLimit(100, 7))
}

// TestBudgetsHold: whatever is allowed one after the other, in any window no more
// runs start than the budgets say.
func TestBudgetsHold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		perTarget, runs := rapid.IntRange(0, 3).Draw(t, "per target"), rapid.IntRange(0, 4).Draw(t, "runs")
		percent := float64(rapid.IntRange(0, 60).Draw(t, "percent"))
		if runs > 0 {
			percent = 0
		}
		size := float64(rapid.IntRange(1, 12).Draw(t, "fleet"))
		rules, err := remediation.NewRules([]remediation.Spec{remedy(tocsin.ModeAuto, func(s *remediation.Spec) {
			s.Contract.Budget = remediation.Budget{
				PerTarget: remediation.Allowance{Runs: perTarget, In: time.Hour},
				Fleet:     remediation.FleetAllowance{Runs: runs, Percent: percent, Of: "count(up)", In: 2 * time.Hour},
			}
		})})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1_700_000_000, 0)
		var past []remediation.Past
		for range rapid.IntRange(1, 40).Draw(t, "tries") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "minutes")) * time.Minute)
			target := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "target")
			if !rules.Allows("restart-node", target, past, size, now) {
				continue
			}
			past = append(past, remediation.Past{Target: target, At: now})
			mine, all, targets := 0, 0, map[string]bool{}
			for _, p := range past {
				if p.Target == target && p.At.After(now.Add(-time.Hour)) {
					mine++
				}
				if p.At.After(now.Add(-2 * time.Hour)) {
					all++
					targets[p.Target] = true
				}
			}
			if perTarget > 0 && mine > perTarget || runs > 0 && all > runs || percent > 0 && len(targets) > max(1, int(percent*size/100+1e-9)) {
				t.Fatalf("%d on %s, %d in all, %d targets", mine, target, all, len(targets))
			}
		}
		if len(past) == 0 {
			t.Fatal("a budget that allows nothing")
		}
	})
}

// TestTheTapeKeepsBothEndsAndNoPieceOfASecret: however it is written, and wherever
// it is cut.
func TestTheTapeKeepsBothEndsAndNoPieceOfASecret(t *testing.T) {
	t.Parallel()
	secret := "S3CRET" + strings.Repeat("z", 50)
	redact := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(secret), []byte("***")) }
	rapid.Check(t, func(t *rapid.T) {
		tape := remediation.NewTape(redact)
		var all strings.Builder
		for range rapid.IntRange(1, 12).Draw(t, "writes") {
			piece := strings.Repeat("0123456789", rapid.IntRange(0, 3000).Draw(t, "tens"))
			if rapid.Bool().Draw(t, "secret") {
				piece += secret
			}
			if rapid.Bool().Draw(t, "line") {
				piece += "\n"
			}
			all.WriteString(piece)
			for cut := min(len(piece), rapid.IntRange(0, 60_000).Draw(t, "cut")); ; cut = len(piece) {
				n, err := tape.Write([]byte(piece[:cut]))
				if n != cut || err != nil {
					t.Fatal(n, err)
				}
				if piece = piece[cut:]; piece == "" {
					break
				}
			}
		}
		text := tape.Text(true)
		want := string(redact([]byte(all.String())))
		switch {
		case strings.Contains(text, "S3C"), strings.Contains(text, "zz"):
			t.Fatal("a piece of a secret is shown")
		case len(text) > 64<<10+100:
			t.Fatal("too long: ", len(text))
		case all.Len() <= 64<<10 && text != want:
			t.Fatalf("%d bytes are not kept as they are", all.Len())
		case !strings.HasPrefix(want, text[:min(len(text), 20_000)]), !strings.HasSuffix(want, text[max(0, len(text)-20_000):]):
			t.Fatal("the ends are others")
		}
		live := tape.Text(false)
		if strings.Contains(live, "S3C") || live != "" && !strings.HasSuffix(live, "\n") {
			t.Fatalf("live: …%q", live[max(0, len(live)-100):])
		}
	})
}

func TestOutputObeysNobody(t *testing.T) {
	t.Parallel()
	tape := remediation.NewTape(func(b []byte) []byte { return b })
	_, _ = tape.Write([]byte("a\x1b[31mred\r\n\x00\xff\u202eevil\tb"))
	assert.Equal(t, "a\ufffd[31mred\n\ufffd\ufffd\ufffdevil\tb", tape.Text(true))
}
