package config

import (
	"encoding/json"
	"reflect"
	"strconv"

	"github.com/invopop/jsonschema"

	"github.com/tocsin-oncall/tocsin"
)

// SchemaID names the schema. Nothing is fetched from there.
const SchemaID = "https://github.com/tocsin-oncall/tocsin/docs/tocsin.schema.json"

const (
	envPattern      = `\$\{[A-Za-z_][A-Za-z0-9_]*\}`
	durationPattern = `^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$|` + envPattern
	clockPattern    = `^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$|` + envPattern
	datePattern     = `^[0-9]{4}-[0-9]{2}-[0-9]{2}$|` + envPattern
	weekdayPattern  = ` *([Ss]un|[Mm]on|[Tt]ues|[Ww]ednes|[Tt]hurs|[Ff]ri|[Ss]atur)day *`
	weekdaysPattern = `^` + weekdayPattern + `(:` + weekdayPattern + `)?$|` + envPattern
	sizePattern     = `^[0-9]+ *([KMGT]iB|[kKMGT]?B)?$|` + envPattern
)

// Schema is the JSON schema (draft 2020-12) of the configuration file, for
// editors that complete and check YAML by one. It is made of the same structs
// that the file is read into.
func Schema() ([]byte, error) {
	words, err := comments()
	if err != nil {
		return nil, err
	}
	r := &jsonschema.Reflector{
		FieldNameTag:               "yaml",
		RequiredFromJSONSchemaTags: true,
		ExpandedStruct:             true,
		Mapper:                     schemaOf,
		LookupComment: func(t reflect.Type, field string) string {
			if field == "" {
				return words[t.Name()]
			}
			return words[t.Name()+"."+field]
		},
	}
	schema := r.Reflect(&Config{})
	schema.ID, schema.Title = SchemaID, "Tocsin's configuration"
	// A $schema key is not part of the file: editors are told in a comment.
	for _, s := range sections() {
		def := schema.Definitions[s.typ.Name()]
		if s.path == "" {
			def = schema
		}
		addTags(def, s.typ)
	}
	out, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(out, '\n'), nil
}

// schemaOf maps the types that are written as text.
func schemaOf(t reflect.Type) *jsonschema.Schema {
	switch {
	case t == reflect.TypeFor[Duration]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			{Type: "string", Pattern: durationPattern}, {Type: "integer", Enum: []any{0}},
		}}
	case t == reflect.TypeFor[Size]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			{Type: "string", Pattern: sizePattern}, {Type: "integer", Minimum: "0"},
		}}
	case t == reflect.TypeFor[Clock]():
		return &jsonschema.Schema{Type: "string", Pattern: clockPattern}
	case t == reflect.TypeFor[Date]():
		return &jsonschema.Schema{Type: "string", Pattern: datePattern}
	case t == reflect.TypeFor[Weekdays]():
		return &jsonschema.Schema{Type: "string", Pattern: weekdaysPattern}
	case t == reflect.TypeFor[tocsin.Severity]():
		return &jsonschema.Schema{Type: "string", Enum: []any{tocsin.Critical, tocsin.Error, tocsin.Warning, tocsin.Info}}
	case isSecret(t):
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}

// addTags puts defaults and examples into the schema of a struct.
func addTags(def *jsonschema.Schema, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		prop, ok := def.Properties.Get(keyOf(f))
		if !ok {
			continue
		}
		if text, ok := f.Tag.Lookup("default"); ok {
			prop.Default = schemaValue(f.Type, text)
		}
		if f.Tag.Get("scalar") != "" {
			prop.Items = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "integer"}}}
		}
	}
}

// schemaValue is a default as JSON writes it.
func schemaValue(t reflect.Type, text string) any {
	switch t.Kind() {
	case reflect.Bool:
		return text == "true"
	case reflect.Int, reflect.Float64:
		if isText(t) {
			return text
		}
		return json.Number(text)
	case reflect.Int64:
		if n, err := strconv.Atoi(text); err == nil {
			return n
		}
	}
	return text
}
