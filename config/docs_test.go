package config_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/tocsin-oncall/tocsin/config"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md and docs/tocsin.schema.json")

func upToDate(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err, "go test ./config -update")
	assert.Equal(t, want, string(got), "out of date: go test ./config -update")
}

func TestReferenceIsUpToDate(t *testing.T) {
	t.Parallel()
	ref, err := config.Reference()
	require.NoError(t, err)
	upToDate(t, "../docs/configuration.md", ref)
}

func TestSchemaIsUpToDate(t *testing.T) {
	t.Parallel()
	schema, err := config.Schema()
	require.NoError(t, err)
	upToDate(t, "../docs/tocsin.schema.json", string(schema))
}

func TestExampleLoads(t *testing.T) {
	t.Setenv("SLACK_BOT_TOKEN", "xoxb-1")
	t.Setenv("PAGERDUTY_ROUTING_KEY", "0123456789abcdef0123456789abcdef")
	cfg, warnings, err := config.Parse("tocsin.yml", []byte(config.Example))
	require.NoError(t, err)
	assert.Empty(t, warnings)
	assert.Len(t, cfg.Receivers, 2)
}

// The blocks of a section stand alone, and so miss a route or a file; but every
// key in them exists and every value can be read.
func TestExamplesOfTheReferenceCanBeRead(t *testing.T) {
	t.Parallel()
	ref, err := config.Reference()
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(ref, -1)
	require.Greater(t, len(blocks), 15)
	incomplete := regexp.MustCompile(`is missing|does not exist|no such file|which is not set|needs a receiver|needs? a bot token|need a mail server|all layers are shadows|is no parameter|set prometheus.url`)
	for _, b := range blocks {
		_, _, err := config.Parse("example.yml", []byte(b[1]))
		for line := range strings.Lines(fmt.Sprint(err)) {
			assert.Regexp(t, incomplete, line, b[1])
		}
	}
}

func TestReferenceTellsEveryKey(t *testing.T) {
	t.Parallel()
	ref, err := config.Reference()
	require.NoError(t, err)
	for line := range strings.Lines(ref) {
		if strings.HasPrefix(line, "| `") {
			cells := strings.Split(strings.TrimSpace(line), " | ")
			require.Len(t, cells, 4, line)
			assert.Regexp(t, `\.\)? \|$`, cells[3]+"", "a meaning that is a sentence: "+line)
		}
	}
}

func TestSchemaAcceptsWhatLoads(t *testing.T) {
	t.Parallel()
	root := schemaRoot(t)
	list := files(t, "testdata/good/*.yml")
	for _, file := range append(list, "example.yml") {
		var doc any
		src, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, yaml.Load(src, &doc))
		assert.Empty(t, violations(root, root, doc, file), file)
	}
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	root := schemaRoot(t)
	for file, want := range map[string]string{
		"unknown-key-nested":         "/server/listne: unknown",
		"route-missing":              "route: missing",
		"alertmanager-source-match":  "source_match: unknown",
		"alertmanager-slack-api-url": "api_url: unknown",
		"durations":                  "/storage/retention", // "1m1h" is out of order.
		"wrong-types":                "/slack/rate_limit",
		"windows":                    "/users/0/quiet_hours/1/end_time",
		"policies":                   "/escalation_policies/2/steps/1/notify/4/usr: unknown",
	} {
		var doc any
		src, err := os.ReadFile("testdata/bad/" + file + ".yml")
		require.NoError(t, err)
		require.NoError(t, yaml.Load(src, &doc))
		assert.Contains(t, strings.Join(violations(root, root, doc, ""), "\n"), want, file)
	}
}

// Every key is in full.yml, but for the other half of a secret and its file.
func TestFullConfigurationIsFull(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("testdata/good/full.yml")
	require.NoError(t, err)
	for name, def := range schemaRoot(t)["$defs"].(map[string]any) {
		props := def.(map[string]any)["properties"].(map[string]any)
		for key := range props {
			_, twin := props[key+"_file"]
			_, main := props[strings.TrimSuffix(key, "_file")]
			if twin || main && strings.HasSuffix(key, "_file") {
				continue
			}
			assert.Regexp(t, `(?m)(^[ -]*|[{,] *)`+key+`:`, string(src), "%s.%s", name, key)
		}
	}
}

func schemaRoot(t *testing.T) map[string]any {
	t.Helper()
	raw, err := config.Schema()
	require.NoError(t, err)
	var root map[string]any
	require.NoError(t, json.Unmarshal(raw, &root))
	return root
}

// violations checks a value by the part of JSON Schema that the schema uses.
func violations(root, s map[string]any, v any, path string) []string {
	if ref, ok := s["$ref"].(string); ok {
		return violations(root, root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any), v, path)
	}
	if any, ok := s["anyOf"].([]any); ok {
		if !slices.ContainsFunc(any, func(a interface{}) bool { return violations(root, a.(map[string]interface{}), v, path) == nil }) {
			return []string{fmt.Sprintf("%s: %v fits nothing", path, v)}
		}
		return nil
	}
	switch want := s["type"]; v := v.(type) {
	case map[string]any:
		if want != "object" {
			return []string{path + ": not " + fmt.Sprint(want)}
		}
		return objectViolations(root, s, v, path)
	case []any:
		if want != "array" {
			return []string{path + ": not " + fmt.Sprint(want)}
		}
		var out []string
		for i, e := range v {
			out = append(out, violations(root, s["items"].(map[string]any), e, fmt.Sprintf("%s/%d", path, i))...)
		}
		return out
	default:
		return scalarViolations(s, v, path)
	}
}

func objectViolations(root, s, v map[string]any, path string) []string {
	var out []string
	props := s["properties"].(map[string]any)
	for key, value := range v {
		if p, ok := props[key].(map[string]any); ok {
			out = append(out, violations(root, p, value, path+"/"+key)...)
		} else {
			out = append(out, path+"/"+key+": unknown")
		}
	}
	required, _ := s["required"].([]any)
	for _, key := range required {
		if _, ok := v[key.(string)]; !ok {
			out = append(out, path+"/"+key.(string)+": missing")
		}
	}
	return out
}

func scalarViolations(s map[string]any, v any, path string) []string {
	bad := []string{fmt.Sprintf("%s: %v is not %v", path, v, s["type"])}
	switch v := v.(type) {
	case string:
		pattern, _ := s["pattern"].(string)
		if s["type"] != "string" || !regexp.MustCompile(pattern).MatchString(v) {
			return bad
		}
	case bool:
		if s["type"] != "boolean" {
			return bad
		}
	case int:
		if s["type"] != "integer" && s["type"] != "number" {
			return bad
		}
		if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, any(float64(v))) {
			return bad
		}
	case float64:
		if s["type"] != "number" {
			return bad
		}
	}
	return nil
}
