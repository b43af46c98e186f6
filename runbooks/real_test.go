package runbooks_test

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks"
)

const sharedData = "../../shared/data"

func realFiles(t *testing.T) map[string][]tocsin.Runbook {
	t.Helper()
	dir := filepath.Join(sharedData, "runbooks")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no shared data beside the checkout: ", err)
	}
	out := map[string][]tocsin.Runbook{}
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		source, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		rbs, err := runbooks.Parse(name, source)
		require.NoError(t, err, name)
		out[name] = rbs
		return nil
	}))
	return out
}

func TestRealFilesAllParse(t *testing.T) {
	t.Parallel()
	files := realFiles(t)
	assert.GreaterOrEqual(t, len(files), 110)
	for name, rbs := range files {
		require.NotEmpty(t, rbs, name)
		ids := map[string]bool{}
		for _, rb := range rbs {
			assert.NotEmpty(t, rb.Title, name)
			assert.False(t, ids[rb.ID], rb.ID)
			ids[rb.ID] = true
			steps := map[string]bool{}
			for _, s := range rb.Steps {
				assert.False(t, steps[s.ID], "%s: step %s twice", rb.ID, s.ID)
				steps[s.ID] = true
				assert.True(t, s.Text != "" || len(s.Commands) > 0, "%s: an empty step", rb.ID)
				assert.NotEmpty(t, s.Section)
			}
		}
	}
}

func TestRealPrometheusOperator(t *testing.T) {
	t.Parallel()
	without := 0
	for name, rbs := range realFiles(t) {
		dir, file := path.Split(name)
		if !strings.HasPrefix(dir, "prometheus-operator/") || file == "_index.md" {
			continue
		}
		require.Len(t, rbs, 1, name)
		assert.Equal(t, []string{strings.TrimSuffix(file, ".md")}, rbs[0].Alerts, name)
		if len(rbs[0].Steps) == 0 {
			without++
		}
	}
	// These say "TODO", or only point to another page.
	assert.Equal(t, 9, without)
}

func TestRealBitCell(t *testing.T) {
	t.Parallel()
	type shape struct {
		alerts []string
		steps  map[tocsin.SectionKind]int
	}
	d, m, r, e, f := tocsin.SectionDiagnosis, tocsin.SectionMitigation, tocsin.SectionResolution, tocsin.SectionEscalation, tocsin.SectionFollowUp
	want := map[string]shape{
		"":                            {nil, map[tocsin.SectionKind]int{m: 13, e: 5, f: 6}},
		"#node-down":                  {[]string{"NodeDown"}, map[tocsin.SectionKind]int{d: 3, r: 3, f: 3}},
		"#regional-failure":           {[]string{"RegionDown", "RegionDegraded"}, map[tocsin.SectionKind]int{d: 3, r: 6, f: 3}},
		"#chain-not-progressing":      {[]string{"ChainNotProgressing"}, map[tocsin.SectionKind]int{d: 2, r: 4, f: 3}},
		"#high-proof-generation-time": {[]string{"HighProofGenerationTime"}, map[tocsin.SectionKind]int{d: 3, r: 5, f: 3}},
		"#no-peers-network-isolation": {[]string{"NoPeers", "LowPeerCount"}, map[tocsin.SectionKind]int{d: 5, r: 4, f: 3}},
		"#high-pending-transactions":  {[]string{"HighPendingTransactions"}, map[tocsin.SectionKind]int{d: 2, r: 6, f: 3}},
		"#database-issues":            {nil, map[tocsin.SectionKind]int{d: 3, r: 5}},
		"#security-incidents":         {nil, map[tocsin.SectionKind]int{m: 5, d: 4, r: 4}},
	}
	got := map[string]shape{}
	for _, rb := range realFiles(t)["bitcell/incident-response.md"] {
		s := shape{rb.Alerts, map[tocsin.SectionKind]int{}}
		for _, st := range rb.Steps {
			s.steps[st.Section]++
		}
		got[strings.TrimPrefix(rb.ID, "bitcell/incident-response")] = s
	}
	assert.Equal(t, want, got)
}

func TestRealBitCellConditions(t *testing.T) {
	t.Parallel()
	for _, rb := range realFiles(t)["bitcell/incident-response.md"] {
		if rb.ID != "bitcell/incident-response#regional-failure" {
			continue
		}
		assert.Equal(t, "If cloud provider issue", rb.Steps[3].Condition)
		assert.Equal(t, "Wait for provider resolution", rb.Steps[3].Text)
		assert.Equal(t, "If configuration issue", rb.Steps[7].Condition)
		assert.Equal(t, "Restart all nodes in region", rb.Steps[7].Text)
		assert.Empty(t, rb.Steps[9].Condition)
		assert.Equal(t, "Check cloud provider status\nVisit AWS/GCP/Azure status page for that region", rb.Steps[2].Text)
		assert.Empty(t, rb.Steps[2].Commands)
	}
}

func TestRealFusion(t *testing.T) {
	t.Parallel()
	files := realFiles(t)
	ids := map[string]int{}
	for _, name := range []string{"fusion/infrastructure-troubleshooting.md", "fusion/disaster-recovery-runbook.md"} {
		for _, rb := range files[name] {
			ids[rb.ID] = len(rb.Steps)
		}
	}
	assert.Equal(t, map[string]int{
		"fusion/infrastructure-troubleshooting":                              76,
		"fusion/infrastructure-troubleshooting#application-startup-issues":   6,
		"fusion/infrastructure-troubleshooting#database-connectivity-issues": 9,
		"fusion/infrastructure-troubleshooting#redis-cache-issues":           7,
		"fusion/infrastructure-troubleshooting#load-balancer-issues":         8,
		"fusion/disaster-recovery-runbook":                                   88,
	}, ids)
	for _, s := range files["fusion/disaster-recovery-runbook.md"][0].Steps {
		assert.NotContains(t, s.Text, "RTO")
		assert.NotContains(t, s.Condition, "Template")
	}
}

func TestRealAlertsFindTheirRunbooks(t *testing.T) {
	t.Parallel()
	realFiles(t)
	lib, problems, err := runbooks.Load([]string{filepath.Join(sharedData, "runbooks")})
	require.NoError(t, err)
	assert.Empty(t, problems)
	for url, want := range map[string]string{
		"https://runbooks.prometheus-operator.dev/runbooks/kubernetes/kubenodenotready":                           "prometheus-operator/kubernetes/KubeNodeNotReady",
		"https://runbooks.prometheus-operator.dev/runbooks/kubernetes/kubememovercommit/":                         "prometheus-operator/kubernetes/KubeMemoryOvercommit",
		"https://github.com/Steake/BitCell/blob/main/docs/runbooks/incident-response.md#1-node-down":              "bitcell/incident-response#node-down",
		"https://git.example.com/infrastructure-troubleshooting.md#rediscache-issues":                             "fusion/infrastructure-troubleshooting#redis-cache-issues",
		"https://github.com/kubernetes-monitoring/kubernetes-mixin/tree/master/runbook.md#alert-name-kubeletdown": "prometheus-operator/kubernetes/KubeletDown",
		"https://wiki.example.com/somewhere":                                                                      "",
	} {
		rb := lib.Find(&tocsin.Alert{Annotations: tocsin.Labels{"runbook_url": url}})
		if want == "" {
			assert.Nil(t, rb, url)
		} else if assert.NotNil(t, rb, url) {
			assert.Equal(t, want, rb.ID)
		}
	}
	rb := lib.Find(&tocsin.Alert{Labels: tocsin.Labels{"alertname": "REGIONdown"}})
	require.NotNil(t, rb)
	assert.Equal(t, "bitcell/incident-response#regional-failure", rb.ID)
}

// How the commands of real runbooks come out for an alert with the labels that its
// rules and exporters give: nothing is changed without a label, and what is left to
// fill in is told.
func TestRealCommandsAreFilledOrMarked(t *testing.T) {
	t.Parallel()
	labels := tocsin.Labels{
		"instance": "bitcell-node-3.eu-west:9090", "node": "node-3", "namespace": "prod", "pod": "api-7f9c-x2", "container": "api", "job": "bitcell-node",
		"service": "fusion", "deployment": "api", "statefulset": "db", "daemonset": "proxy", "persistentvolumeclaim": "data-0", "cluster": "eu", "region": "eu-west", "severity": "critical",
	}
	hostile := tocsin.Labels{}
	for n := range labels {
		hostile[n] = "'; rm -rf / #"
	}
	var commands, untouched, whole, marked, refused int
	left := map[string]int{}
	for name, rbs := range realFiles(t) {
		for i := range rbs {
			filled, evil := runbooks.Fill(&rbs[i], labels), runbooks.Fill(&rbs[i], hostile)
			for s := range filled.Steps {
				for c := range filled.Steps[s].Commands {
					was, got, bad := rbs[i].Steps[s].Commands[c], filled.Steps[s].Commands[c], evil.Steps[s].Commands[c]
					commands++
					switch {
					case len(got.Unfilled) > 0:
						marked++
					case got.Text != was.Text:
						whole++
					default:
						untouched++
					}
					for _, u := range got.Unfilled {
						left[u]++
						assert.Contains(t, got.Text, u, "%s: what is told to be left is left", name)
					}
					if bad.Text == was.Text && got.Text != was.Text {
						refused++
						assert.NotEmpty(t, bad.Unfilled, "%s: %s", name, was.Text)
					}
				}
			}
		}
	}
	t.Logf("%d commands: %d have nothing to fill in, %d are filled, %d are marked; of the filled %d take no special character", commands, untouched, whole, marked, refused)
	for _, u := range slices.Sorted(maps.Keys(left)) {
		t.Logf("%4d %s", left[u], u)
	}
	assert.Greater(t, whole, 20)
	assert.Greater(t, untouched, commands/2)
}
