package remediation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation"
)

func TestRulesRefuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*remediation.Spec)
		want   string
	}{
		"a relative path":         {func(s *remediation.Spec) { s.Command[0] = "restart" }, "absolute path"},
		"a placeholder in argv0":  {func(s *remediation.Spec) { s.Command[0] = "/bin/{{node}}" }, "absolute path"},
		"no command":              {func(s *remediation.Spec) { s.Command = nil }, "command: the command is missing"},
		"an unknown placeholder":  {func(s *remediation.Spec) { s.Command = append(s.Command, "{{nod}}") }, "{{nod}} is no parameter"},
		"a zero byte":             {func(s *remediation.Spec) { s.Command = append(s.Command, "a\x00b") }, "zero byte"},
		"no sum":                  {func(s *remediation.Spec) { s.SHA256 = "abc" }, "want 64 hex digits"},
		"the name of all":         {func(s *remediation.Spec) { s.Name = "all" }, "cannot be a remedy's name"},
		"no name":                 {func(s *remediation.Spec) { s.Name = "" }, "cannot be a remedy's name"},
		"no matchers":             {func(s *remediation.Spec) { s.Matchers = nil }, "matchers are missing"},
		"a bad matcher":           {func(s *remediation.Spec) { s.Matchers = []string{"="} }, `matcher "="`},
		"a bad parameter":         {func(s *remediation.Spec) { s.Parameters[0].Name = "Node" }, "small letters"},
		"two of a name":           {func(s *remediation.Spec) { s.Parameters = append(s.Parameters, s.Parameters[0]) }, "given twice"},
		"a pattern that gets out": {func(s *remediation.Spec) { s.Parameters[0].Pattern = "a)|(b" }, "pattern"},
		"a pattern that quotes":   {func(s *remediation.Spec) { s.Parameters[0].Pattern = `a\Q` }, "pattern"},
		"a bad pattern":           {func(s *remediation.Spec) { s.Parameters[0].Pattern = "[" }, "pattern"},
		"a target that is none":   {func(s *remediation.Spec) { s.Target = "job" }, "job is no parameter"},
		"a bad variable":          {func(s *remediation.Spec) { s.Environment = []string{"A B=c"} }, "NAME=value"},
		"a filled variable":       {func(s *remediation.Spec) { s.Environment = []string{"A={{node}}"} }, "NAME=value"},
		"a variable twice":        {func(s *remediation.Spec) { s.Environment = []string{"A=1", "A=2"} }, "once"},
		"a mode":                  {func(s *remediation.Spec) { s.Mode = "yolo" }, "suggest, approve or auto"},
		"a stdin":                 {func(s *remediation.Spec) { s.Stdin = "yaml" }, "none or json"},
		"one person as two":       {func(s *remediation.Spec) { s.TwoPerson, s.Approvers = true, []string{"ana"} }, "two people"},
		"a percentage":            {func(s *remediation.Spec) { s.Contract.Budget.Fleet.Percent = 101 }, "0 to 100"},
		"a percentage of what":    {func(s *remediation.Spec) { s.Contract.Budget.Fleet.Percent = 10 }, "Set of"},
		"a filled fleet": {func(s *remediation.Spec) {
			s.Contract.Budget.Fleet = remediation.FleetAllowance{Percent: 10, Of: `count(up{i="{{node}}"})`}
		}, "fill in nothing"},
		"a negative time":          {func(s *remediation.Spec) { s.Timeout = -time.Second }, "negative"},
		"both":                     {func(s *remediation.Spec) { s.Contract.Precheck.Command = []string{"/bin/x"} }, "both set"},
		"a check without a sum":    {func(s *remediation.Spec) { s.Contract.Verify.Check = remediation.Check{Command: []string{"/bin/x"}} }, "verify: sha256"},
		"a rollback without one":   {func(s *remediation.Spec) { s.Contract.Rollback.SHA256 = "" }, "rollback: sha256"},
		"PromQL outside of quotes": {func(s *remediation.Spec) { s.Contract.Precheck.PromQL = "up == {{node}}" }, "outside of quotes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := remediation.NewRules([]remediation.Spec{remedy(tocsin.ModeApprove, c.change)})
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "remedy ")
		})
	}
	_, err := remediation.NewRules([]remediation.Spec{remedy(tocsin.ModeAuto), remedy(tocsin.ModeAuto)})
	require.ErrorContains(t, err, "declared twice")
}

func TestRemediesAreTold(t *testing.T) {
	t.Parallel()
	rules, err := remediation.NewRules([]remediation.Spec{remedy(""), remedy(tocsin.ModeAuto, func(s *remediation.Spec) { s.Name = "b" })})
	require.NoError(t, err)
	assert.Equal(t, []tocsin.Remedy{
		{Name: "restart-node", Mode: tocsin.ModeSuggest, Summary: "Restarts the node's process.", Matchers: []string{`alertname="NodeDown"`}},
		{Name: "b", Mode: tocsin.ModeAuto, Summary: "Restarts the node's process.", Matchers: []string{`alertname="NodeDown"`}},
	}, rules.Remedies())
	none, err := remediation.NewRules(nil)
	require.NoError(t, err)
	assert.Empty(t, none.Remedies())
}

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	_, err := remediation.New(nil, remediation.Options{})
	require.Error(t, err)
	assert.NotEmpty(t, strings.TrimSpace(err.Error()))
}
