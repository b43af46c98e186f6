package stream_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// field is one of an event's JSON fields.
type field struct {
	name, kind string
	always     bool
}

// fields are those of tocsin.Event.
func fields() []field {
	var out []field
	for _, f := range reflect.VisibleFields(reflect.TypeFor[tocsin.Event]()) {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		kind := "string"
		if f.Type.Kind() == reflect.Uint64 {
			kind = "integer"
		}
		out = append(out, field{name, kind, !strings.Contains(opts, "omit")})
	}
	return out
}

// kinds are the constants of type tocsin.EventKind in the order of the source.
func kinds(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../event.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "EventKind" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			out = append(out, value)
		}
		return true
	})
	return out
}

// section is the text of docs/events.md below a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/events.md")
	require.NoError(t, err)
	_, text, found := strings.Cut(string(doc), "\n## "+heading+"\n")
	require.True(t, found, "docs/events.md has no heading %q", heading)
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

func TestEveryFieldIsDocumented(t *testing.T) {
	t.Parallel()
	var got []field
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\| (yes|no) \\|").FindAllStringSubmatch(section(t, "Fields"), -1) {
		got = append(got, field{row[1], row[2], row[3] == "yes"})
	}
	assert.Equal(t, fields(), got)
}

func TestEveryKindIsDocumented(t *testing.T) {
	t.Parallel()
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| .+ \\|$").FindAllStringSubmatch(section(t, "Kinds"), -1) {
		got = append(got, row[1])
	}
	want := kinds(t)
	require.Greater(t, len(want), 10)
	assert.Equal(t, want, got)
}

func TestSchemaAndExample(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile("(?s)```json\n(.+?)```").FindAllStringSubmatch(section(t, "Schema"), -1)
	require.Len(t, blocks, 2)
	var schema struct {
		Properties           map[string]struct{ Type string }
		Required             []string
		AdditionalProperties bool
	}
	require.NoError(t, json.Unmarshal([]byte(blocks[0][1]), &schema))
	var required []string
	for _, f := range fields() {
		assert.Equal(t, f.kind, schema.Properties[f.name].Type, f.name)
		if f.always {
			required = append(required, f.name)
		}
	}
	assert.Len(t, schema.Properties, len(fields()))
	assert.Equal(t, required, schema.Required)
	assert.True(t, schema.AdditionalProperties, "consumers must accept fields that are added")

	var event tocsin.Event
	require.NoError(t, json.Unmarshal([]byte(blocks[1][1]), &event))
	again, err := json.Marshal(event)
	require.NoError(t, err)
	assert.JSONEq(t, blocks[1][1], string(again))
	assert.WithinRange(t, event.At, time.Unix(0, 0), time.Unix(1<<33, 0))
}
