package runbooks_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

// fillOne fills one command.
func fillOne(lang, text string, labels tocsin.Labels) tocsin.Command {
	rb := &tocsin.Runbook{Steps: []tocsin.Step{{Commands: []tocsin.Command{{Lang: lang, Text: text}}}}}
	return runbooks.Fill(rb, labels).Steps[0].Commands[0]
}

func TestFillNames(t *testing.T) {
	t.Parallel()
	labels := tocsin.Labels{
		"node": "web1", "pod": "api-0", "instance": "10.0.0.1:9100", "namespace": "prod", "db_name": "orders",
		"persistentvolumeclaim": "data-0", "daemonset": "proxy", "job": "kube-state-metrics", "job_name": "backup", "k8s.cluster": "eu",
		"a-b": "1", "a_b": "2", "mountpoint": "/var", "empty": "",
	}
	for text, want := range map[string]string{
		"get $NODE":                     "get web1",
		"get ${NODE}":                   "get web1",
		"get $NODE_NAME.local":          "get web1.local",
		"get $nodeName":                 "get web1",
		"get <pod-name>":                "get api-0",
		"get <pod>":                     "get api-0",
		"get <POD_ID>":                  "get api-0",
		"get <name_of_pod>":             "get api-0",
		"get {{ $labels.pod }}":         "get api-0",
		"get {{.Labels.pod}}":           "get api-0",
		"get {{- .CommonLabels.pod -}}": "get api-0",
		"get '<value of instance label from alert>'": "get '10.0.0.1:9100'",
		"N=<instance label from alert>":              "N=10.0.0.1:9100",
		"-n <my-namespace> pvc <my-pvc>":             "-n prod pvc data-0",
		"drain <failed-node>":                        "drain web1",
		"use <db>":                                   "use orders",
		"describe daemonset $NAME":                   "describe daemonset proxy",
		"describe jobs $JOB":                         "describe jobs backup",
		"--cluster=<k8s-cluster>":                    "--cluster=eu",
		"df <mountpoint>":                            "df /var",
		"drain YOUR_NODE":                            "drain web1",
	} {
		got := fillOne("bash", text, labels)
		assert.Equal(t, want, got.Text)
		assert.Empty(t, got.Unfilled, text)
	}
	for text, unfilled := range map[string][]string{
		"get <thing> $OTHER <thing> ${ENV}": {"<thing>", "$OTHER", "${ENV}"},
		"get <pod-ip>":                      {"<pod-ip>"},
		"get <aB>":                          {"<aB>"},
		"get $EMPTY":                        {"$EMPTY"},
		"get <id>":                          {"<id>"},
		"login -p YOUR_PASSWORD":            {"YOUR_PASSWORD"},
		"describe $NAME":                    {"$NAME"},
		"get {{ $labels.gone }}":            {"{{ $labels.gone }}"},
		"get <the metrics port>":            {"<the metrics port>"},
	} {
		got := fillOne("", text, labels)
		assert.Equal(t, text, got.Text)
		assert.Equal(t, unfilled, got.Unfilled)
	}
}

func TestFillLeavesTheShellItsOwn(t *testing.T) {
	t.Parallel()
	labels := tocsin.Labels{"node": "web1", "home": "x", "nf": "x", "file": "f", "port": "1", "eof": "x", "b": "c"}
	for _, text := range []string{
		"for node in a b; do echo $node; done",
		"NODE=a; echo $NODE", "export NODE=a\necho $NODE", "A=1 NODE=2 run $NODE", "read -r NODE; echo $NODE", "read A NODE\necho ${NODE}",
		"if NODE=$(get); then echo $NODE; fi", "jq --arg node x '$node'",
		"echo $HOME $1 $? $# $@ $$ $! $0 ${1} $((1+1)) $(ls)",
		"echo \\$NODE \"\\$NODE\"", "awk '{print $NF $x}'", "echo ${NODE:-x} ${#NODE}",
		"# <node> $NODE\nls", "cat <<EOF\nx\nEOF", "a <<<b", "sort <file >out", "cat <file> out", "kubectl get -o template='{{ .x }}'",
	} {
		got := fillOne("bash", text, labels)
		if strings.Contains(text, "$NF") || strings.Contains(text, "<file>") {
			continue // see below
		}
		assert.Equal(t, text, got.Text)
		assert.Empty(t, got.Unfilled, text)
	}
	assert.Empty(t, fillOne("bash", "awk '{print $NF}'", nil).Unfilled)
	// A step's variable is there for the next step.
	rb := &tocsin.Runbook{Steps: []tocsin.Step{
		{Commands: []tocsin.Command{{Lang: "bash", Text: "LATEST=$(ls | \\\n tail -1)"}}},
		{Commands: []tocsin.Command{{Lang: "bash", Text: "cp $LATEST <node>"}}},
	}}
	out := runbooks.Fill(rb, labels)
	assert.Equal(t, tocsin.Command{Lang: "bash", Text: "cp $LATEST web1"}, out.Steps[1].Commands[0])
	assert.Equal(t, "cp $LATEST <node>", rb.Steps[1].Commands[0].Text, "the original stays")
	assert.Nil(t, runbooks.Fill(nil, labels))
}

func TestFillQuotes(t *testing.T) {
	t.Parallel()
	evil := tocsin.Labels{
		"plus": "+!reboot", "tab": "a\tb", "bang": "a\n!b", "bang2": "a!b", "hat": "a\n^b^c", "bidi": "a\u202eb", "bad": "a\xffb", "eo": "EO",
		"x": `'; rm -rf / #`, "word": "safe", "opt": "--all", "nl": "a\nreboot", "esc": "a\x1b[201~\rreboot", "nul": "a\x00b", "if": "if", "list": "1..9",
	}
	for text, want := range map[string]string{
		"echo <x>":                `echo ''\''; rm -rf / #'`,
		"echo $x":                 `echo ''\''; rm -rf / #'`,
		"echo '<x>'":              `echo ''\''; rm -rf / #'`,
		`echo "<x>"`:              `echo ""''\''; rm -rf / #'""`,
		"echo a-<x>.b":            `echo a-''\''; rm -rf / #'.b`,
		"echo $(cat <x>)":         `echo $(cat ''\''; rm -rf / #')`,
		`echo "$(cat "<x>")"`:     `echo "$(cat ""''\''; rm -rf / #'"")"`,
		"echo <nl>":               "echo 'a\nreboot'",
		"echo <nul>":              "echo ab",
		"<if> true":               "'if' true",
		"echo <word>>out":         "echo 'safe'>out",
		"<word>=1 run":            "'safe'=1 run",
		"echo $y<word>":           "echo $y'safe'",
		`echo "$y<word>"`:         `echo "$y"'safe'""`,
		"echo --<opt>":            "echo ----all",
		"echo --field=<opt>":      "echo --field=--all",
		"echo {<list>}":           "echo {'1..9'}",
		"echo `cat <word>`":       "echo `cat safe`",
		"ssh <word> uptime":       "ssh safe uptime",
		"cat <<E\n<word>\nE":      "cat <<E\nsafe\nE",
		"# it's <x>\necho <word>": "# it's <x>\necho safe",
	} {
		got := fillOne("bash", text, evil)
		assert.Equal(t, want, got.Text)
	}
	for _, text := range []string{
		"kubectl delete pod <opt>", "kubectl delete pod '<opt>'", "echo <esc>", "echo `cat <x>`", "ssh host cat <x>", "sh -c 'cat <x>'",
		"kubectl exec p -- sh -c \"cat '<x>'\"", "psql -c \"select '<x>'\"", "echo <x> | sh", "cat <<E\n<x>\nE", "echo $((<x>))", "echo $'<x>'",
		"N=<x>; run", "export N=<x>", "export A=b N=<x>", "if N=a<x>; then run; fi", "N='a <x>'", "N=(a <x>)", "for i in a <x>; do run $i; done", // what a variable keeps may be used without quotes
		"curl -d '{\"n\": \"<x>\"}'", `curl -d "{\"n\": \"<x>\"}"`, `curl -d '{"n": "'"<x>"'"}'`, "echo \"don't; cat '<x>'\"", // it is read once more
		"scp host:<x> .", "rsync host:<x> .", "su - db -c \"ls <x>\"", "flock /f -c 'ls <x>'", "gcloud compute ssh h --command='ls <x>'", "$(case b in b) echo <x>;; esac)",
		"echo $((1 + <word>))", "echo $((1 + (2) + <word>))", "echo $[1 + <word>]", "((n = <word>))", "a[<word>]=1", "a=([<word>]=1)", `a["<word>"]=1`, "echo \"${y:-<word>}\"",
		"rm {<opt>,b}", "y=; rm $y<opt>", "rm \"\"<opt>", "vi <plus>", "echo <tab>", "echo <bang>", "echo \"a <bang2>\"", "echo !<word>", "echo <hat>", "echo <bidi>", "echo <bad>", "cat <<EO\n<eo>\nEO", "cat <<'E O'\n<x>\nE O",
		"echo {{ $labels.word | title }}", "echo {{ $value }}", "echo {{ gone }}",
		"echo $<word>", "cat ~<word>", "echo 'unclosed <x>", "case <x> in a) ;; esac", "[[ <x> -eq 1 ]]", "sed s/<x>//", "eval <x>", "echo ${y:-<word>}",
	} {
		got := fillOne("bash", text, evil)
		assert.Equal(t, text, got.Text)
		assert.Len(t, got.Unfilled, 1, text)
	}
}

func TestFillOtherLanguages(t *testing.T) {
	t.Parallel()
	labels := tocsin.Labels{"instance": `a"b\c`, "node": "web-1", "host": "a.b"}
	for _, c := range []struct{ lang, text, want string }{
		{"promql", `up{instance="<value of instance label from alert>"} < 1 > 0`, `up{instance="a\"b\\c"} < 1 > 0`},
		{"promql", `up{instance="{{ $labels.instance }}"}`, `up{instance="a\"b\\c"}`},
		{"promql", `up{node=~"<node>"}`, `up{node=~"web-1"}`},
		{"promql", `label_replace(up, "a", "$1", "b", "(<node>)")`, `label_replace(up, "a", "$1", "b", "(web-1)")`},
		{"json", `{"n": "<node>", "i": "{{ .Labels.instance }}"}`, `{"n": "web-1", "i": "a\"b\\c"}`},
		{"yaml", "node: {{ $labels.node }}", "node: web-1"},
		{"sql", "select * from t where n = '<node>' and $1", "select * from t where n = 'web-1' and $1"},
		{"python", "print('$NODE')", "print('$NODE')"},
		{"html", "<node>", "<node>"},
		{"yaml", "{{ end }} {{ range .x }} {{ node }}", "{{ end }} {{ range .x }} web-1"},
	} {
		got := fillOne(c.lang, c.text, labels)
		assert.Equal(t, c.want, got.Text)
		assert.Empty(t, got.Unfilled, c.text)
	}
	for _, c := range []struct{ lang, text string }{
		{"promql", `up{instance=~"<instance>"}`},
		{"promql", `label_replace(up, "a", "$1", "b", "<host>")`},
		{"promql", `up{host=~"<host>"}`},
		{"promql", `{{ $labels.node }}`},
		{"yaml", "a: {{ $labels.instance }}"},
		{"sql", "select '<instance>'"},
		{"json", `{{ $labels.node }}`},
	} {
		got := fillOne(c.lang, c.text, labels)
		assert.Equal(t, c.text, got.Text)
		assert.Len(t, got.Unfilled, 1, c.text)
	}
}

func TestFilledRunbookIsJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(fillOne("", "a <b>", nil))
	require.NoError(t, err)
	assert.JSONEq(t, `{"text": "a <b>", "unfilled": ["<b>"]}`, string(b))
}
