package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// spec is openapi.yaml, to hold answers against.
type spec struct {
	doc   map[string]any
	paths map[string]*regexp.Regexp
}

// theSpec is read once: every world of the tests needs it.
var theSpec = sync.OnceValues(func() (*spec, error) {
	b, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	s := &spec{paths: map[string]*regexp.Regexp{}}
	if err := fromYAML(b, &s.doc); err != nil {
		return nil, err
	}
	parameter := regexp.MustCompile(`\\\{\w+\\\}`)
	for path := range s.doc["paths"].(map[string]any) {
		pattern := parameter.ReplaceAllString(regexp.QuoteMeta(path), `[^/]+`)
		pattern = strings.Replace(pattern, "/runbooks/[^/]+", "/runbooks/.+", 1) // IDs of runbooks hold slashes
		s.paths[path] = regexp.MustCompile("^" + pattern + "$")
	}
	return s, nil
})

// fromYAML decodes as encoding/json would have: names of fields, numbers and all.
func fromYAML(b []byte, to any) error {
	var doc any
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return err
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, to)
}

func newSpec(t testing.TB) *spec {
	t.Helper()
	s, err := theSpec()
	require.NoError(t, err)
	return s
}

// dig walks down objects; where there is nothing it returns nil.
func dig(v any, keys ...string) any {
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

func (s *spec) operation(method, path string) any {
	if op := dig(s.doc, "paths", path, strings.ToLower(method)); op != nil { // what is named goes before what fits a parameter
		return op
	}
	if op := dig(s.doc, "paths", path, strings.ToLower(method)); op != nil {
		return op // one without parameters comes first
	}
	for p, pattern := range s.paths {
		if pattern.MatchString(path) {
			if op := dig(s.doc, "paths", p, strings.ToLower(method)); op != nil {
				return op
			}
		}
	}
	return nil
}

// hold checks that the answer is one of those that are described, and that what
// was accepted is what is asked for.
func (s *spec) hold(t testing.TB, method, path, body string, rec *httptest.ResponseRecorder) {
	t.Helper()
	where := fmt.Sprintf("%s %s -> %d", method, path, rec.Code)
	op := s.operation(method, path)
	kind, _, _ := strings.Cut(rec.Header().Get("Content-Type"), ";")
	schema := map[string]any{"$ref": "#/components/schemas/Problem"}
	if strings.HasPrefix(path, "/api/v2/") {
		schema, _ = dig(s.doc, "components", "responses", "AlertmanagerError", "content", "application/json", "schema").(map[string]any)
	}
	switch {
	case rec.Code == 405, rec.Code == 404 && op == nil, rec.Code == 500 && kind == problemJSON, rec.Code >= 400 && kind == "text/html":
	case op == nil:
		assert.Fail(t, "openapi.yaml does not describe it", where)
		return
	default:
		answer := s.resolve(dig(op, "responses", fmt.Sprint(rec.Code)))
		if !assert.NotNil(t, answer, "openapi.yaml does not list the status: %s", where) {
			return
		}
		if content := dig(answer, "content"); content != nil && kind != "" {
			assert.Contains(t, content, kind, where)
		}
		schema, _ = dig(answer, "content", kind, "schema").(map[string]any)
	}
	if (kind == "application/json" || kind == problemJSON) && method != "HEAD" {
		s.fits(t, where, schema, rec.Body.Bytes())
	}
	if wanted, ok := dig(op, "requestBody", "content", "application/json", "schema").(map[string]any); ok && rec.Code == 200 && body != "" {
		s.fits(t, "the body of "+where, wanted, []byte(body))
	}
}

func (s *spec) fits(t testing.TB, where string, schema map[string]any, body []byte) {
	t.Helper()
	var v any
	if assert.NoError(t, json.Unmarshal(body, &v), where) {
		assert.Empty(t, s.problems(schema, v, ""), "%s: %.500s", where, body)
	}
}

func (s *spec) resolve(v any) map[string]any {
	m, _ := v.(map[string]any)
	for {
		ref, ok := m["$ref"].(string)
		if !ok {
			return m
		}
		m, _ = dig(s.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...).(map[string]any)
	}
}

// problems is as much of JSON Schema as openapi.yaml uses, but for one thing: a
// field that is not described is wrong.
func (s *spec) problems(schema map[string]any, v any, at string) []string {
	schema = s.resolve(schema)
	if all, ok := schema["allOf"].([]any); ok {
		schema = s.merged(all)
	}
	if one, ok := schema["oneOf"].([]any); ok {
		fit := slices.ContainsFunc(one, func(o any) bool { return len(s.problems(s.resolve(o), v, at)) == 0 })
		if !fit {
			return []string{at + ": none of oneOf"}
		}
		return nil
	}
	if want := schema["type"]; want != nil && !slices.Contains(types(v), fmt.Sprint(want)) {
		list, _ := want.([]any)
		if !slices.ContainsFunc(list, func(w any) bool { return slices.Contains(types(v), fmt.Sprint(w)) }) {
			return []string{fmt.Sprintf("%s: %v is no %v", at, v, want)}
		}
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		return []string{fmt.Sprintf("%s: %v is none of %v", at, v, enum)}
	}
	switch v := v.(type) {
	case map[string]any:
		return s.object(schema, v, at)
	case []any:
		var list []string
		items, _ := schema["items"].(map[string]any)
		for i, item := range v {
			list = append(list, s.problems(items, item, fmt.Sprintf("%s/%d", at, i))...)
		}
		return list
	case string:
		if _, err := time.Parse(time.RFC3339, v); schema["format"] == "date-time" && err != nil {
			return []string{fmt.Sprintf("%s: %v", at, err)}
		}
		if most, ok := schema["maxLength"].(float64); ok && len(v) > int(most) {
			return []string{at + ": too long"}
		}
	}
	return nil
}

func (s *spec) object(schema, v map[string]any, at string) []string {
	var list []string
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			list = append(list, fmt.Sprintf("%s/%s: missing", at, name))
		}
	}
	known, described := schema["properties"].(map[string]any)
	rest, others := schema["additionalProperties"].(map[string]any)
	anything := schema["additionalProperties"] == true
	for name, value := range v {
		switch sub, ok := known[name].(map[string]any); {
		case ok:
			list = append(list, s.problems(sub, value, at+"/"+name)...)
		case others:
			list = append(list, s.problems(rest, value, at+"/"+name)...)
		case described && !anything:
			list = append(list, fmt.Sprintf("%s/%s: not described", at, name))
		}
	}
	return list
}

func (s *spec) merged(all []any) map[string]any {
	properties := map[string]any{}
	var required []any
	for _, part := range all {
		part := s.resolve(part)
		maps.Copy(properties, part["properties"].(map[string]any))
		more, _ := part["required"].([]any)
		required = append(required, more...)
	}
	return map[string]any{"type": "object", "properties": properties, "required": required}
}

// types are the names that JSON Schema has for what v is.
func types(v any) []string {
	switch v := v.(type) {
	case nil:
		return []string{"null"}
	case bool:
		return []string{"boolean"}
	case float64:
		if v == float64(int64(v)) {
			return []string{"integer", "number"}
		}
		return []string{"number"}
	case string:
		return []string{"string"}
	case []any:
		return []string{"array"}
	default:
		return []string{"object"}
	}
}

const problemJSON = "application/problem+json"

// A description that nothing can break would prove nothing.
func TestTheSpecIsHeldAgainst(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	for _, tc := range []struct{ schema, body, want string }{
		{"Shift", `{"schedule":"p","user":"","from":"2026-11-22T05:00:00Z","to":"2026-11-22T05:00:00Z"}`, ""},
		{"Shift", `{"schedule":"p","user":"","from":"2026-11-22T05:00:00Z"}`, "/to: missing"},
		{"Shift", `{"schedule":"p","user":"","from":"soon","to":"2026-11-22T05:00:00Z"}`, "/from: "},
		{"Shift", `{"schedule":"p","user":1,"from":"2026-11-22T05:00:00Z","to":"2026-11-22T05:00:00Z"}`, "/user: 1 is no string"},
		{"Shift", `{"schedule":"p","user":"","from":"2026-11-22T05:00:00Z","to":"2026-11-22T05:00:00Z","x":1}`, "/x: not described"},
		{"Problem", `{"type":"about:blank","title":"t","status":400,"detail":"d","code":"odd"}`, "/code: odd is none of"},
		{"SilenceView", `{"matchers":["a"],"endsAt":"2026-11-22T05:00:00Z","comment":"c"}`, "/state: missing"},
	} {
		var v any
		require.NoError(t, json.Unmarshal([]byte(tc.body), &v))
		problems := strings.Join(s.problems(map[string]any{"$ref": "#/components/schemas/" + tc.schema}, v, ""), "; ")
		if tc.want == "" {
			assert.Empty(t, problems)
		} else {
			assert.Contains(t, problems, tc.want, tc.body)
		}
	}
}

// Every route is described, and every description is a route.
func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.Callbacks = map[string]http.Handler{}
		for _, path := range []string{
			"/slack/interactions", "/slack/commands", "/slack/events", "/webhook/pagerduty", "/webhook/sns/:name",
			"/v2/enqueue", "/v2/change/enqueue",
		} {
			d.Callbacks[path] = http.NotFoundHandler()
		}
	})
	rec := w.ask("GET", "/api/v1/openapi.yaml", "")
	require.Equal(t, 200, rec.Code)
	var doc struct {
		Paths      map[string]map[string]struct{ OperationID string }
		Components struct {
			Schemas         map[string]any
			Responses       map[string]any
			Parameters      map[string]any
			SecuritySchemes map[string]any
		}
	}
	require.NoError(t, fromYAML(rec.Body.Bytes(), &doc))

	described, ids := map[string]bool{}, map[string]bool{}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			described[strings.ToUpper(method)+" "+path] = true
			assert.False(t, ids[op.OperationID], op.OperationID)
			ids[op.OperationID] = true
		}
	}
	for _, r := range w.Routes() {
		path := strings.Replace(r.Path, "/runbooks/*", "/runbooks/{id}", 1)
		path = regexp.MustCompile(`:(\w+)`).ReplaceAllString(path, "{$1}")
		key := r.Method + " " + path
		assert.True(t, described[key], "openapi.yaml lacks %s", key)
		delete(described, key)
	}
	assert.Empty(t, described, "openapi.yaml describes what is no route")

	for _, m := range regexp.MustCompile(`#/components/(\w+)/(\w+)`).FindAllStringSubmatch(rec.Body.String(), -1) {
		known := map[string]map[string]any{"schemas": doc.Components.Schemas, "responses": doc.Components.Responses, "parameters": doc.Components.Parameters}
		assert.Contains(t, known[m[1]], m[2])
	}
}

// What the types say is what the description says: every field, and no other.
func TestOpenAPIMatchesTheTypes(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	for schema, v := range map[string]any{
		"Incident": tocsin.Incident{}, "Delivery": tocsin.Delivery{}, "Event": tocsin.Event{}, "AlertRecord": tocsin.AlertRecord{},
		"AlertState": tocsin.AlertState{}, "Suppression": tocsin.Suppression{}, "Silence": tocsin.Silence{}, "Runbook": tocsin.Runbook{},
		"RunbookUsage": tocsin.RunbookUsage{}, "RunbookUse": tocsin.RunbookUse{}, "StepUse": tocsin.StepUse{},
		"LoadedRules": tocsin.LoadedRules{}, "RuleCoverage": tocsin.RuleCoverage{}, "Unmatched": tocsin.Unmatched{},
		"Escalation": tocsin.Escalation{}, "Run": tocsin.Run{}, "ContactCall": tocsin.Call{}, "Responder": tocsin.Responder{},
		"Progress": tocsin.Progress{}, "StepProgress": tocsin.StepProgress{}, "StepView": tocsin.StepView{}, "WorkStep": tocsin.Action{},
		"Remedy": tocsin.Remedy{}, "Remediation": tocsin.Remediation{}, "RemedyPlan": tocsin.RemedyPlan{},
		"Approval": tocsin.Approval{}, "RemediationEntry": tocsin.RemediationEntry{},
		"Ahead": tocsin.Ahead{}, "Schedule": tocsin.ScheduleInfo{}, "Shift": tocsin.Shift{}, "Uncovered": tocsin.Uncovered{},
		"Share": tocsin.Share{}, "Override": tocsin.Override{}, "NewOverride": tocsin.Override{},
		"Acknowledge": tocsin.Action{}, "Resolve": tocsin.Action{}, "Snooze": tocsin.Action{}, "Escalate": tocsin.Action{},
		"Call": tocsin.Action{}, "Note": tocsin.Action{}, "Merge": tocsin.Action{}, "SetSeverity": tocsin.Action{},
	} {
		properties, _ := dig(s.doc, "components", "schemas", schema, "properties").(map[string]any)
		assert.ElementsMatch(t, fields(reflect.TypeOf(v)), slices.Collect(maps.Keys(properties)), schema)
	}
}

// fields are the names that a type has in JSON.
func fields(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "" && f.Anonymous:
			names = append(names, fields(f.Type)...)
		case name != "" && name != "-":
			names = append(names, name)
		}
	}
	return names
}
