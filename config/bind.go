package config

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// Bounds on what a file may hold, far above what people write, so that no file
// keeps a reload busy for long.
const (
	maxValues  = 50_000
	maxAliased = 10_000
	maxDepth   = 100
)

// binder fills the structs from the YAML nodes. yaml.Node.Decode would tell of
// some mistakes without a column and of others only once the first is mended,
// and could not say what the writer probably meant.
type binder struct {
	*report
	env func(string) (string, bool)
	// dir is the configuration file's folder.
	dir     string
	depth   int
	aliases int
	aliased int
	values  int
	guessed int
}

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

// bind fills v from n. f is the field that v belongs to, for its tags.
func (b *binder) bind(n *yaml.Node, v reflect.Value, f reflect.StructField) {
	if n.Kind == yaml.AliasNode {
		b.aliases++
		defer func() { b.aliases-- }()
		n = n.Alias
	}
	b.depth++
	defer func() { b.depth-- }()
	field := v.Addr().Interface()
	if !b.allowed(n, field) {
		return
	}
	b.place(field, n)
	if n.Tag == "!!null" {
		return
	}
	switch {
	case v.Kind() == reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		setDefaults(p.Elem())
		b.bind(n, p.Elem(), f)
		v.Set(p)
	case v.Kind() == reflect.Slice:
		b.bindList(n, v, f)
	case isSection(v.Type()):
		b.bindStruct(n, v, f)
	default:
		b.bindScalar(n, v, f)
	}
}

// allowed refuses what would blow up, and tags.
func (b *binder) allowed(n *yaml.Node, field any) bool {
	b.values++
	if b.aliases > 0 {
		b.aliased++
	}
	switch {
	case b.fatal:
		return false
	case b.values > maxValues:
		b.fatal = true
		b.failNode(field, n, "this file holds more than %d values; split off what does not belong in a configuration", maxValues)
		return false
	case b.aliased > maxAliased, b.depth > maxDepth:
		b.fatal = true
		b.failNode(field, n, "this file is nested too deeply, or its aliases (*name) stand for too much; write the values out")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		b.failNode(field, n, "YAML tags (!name) are not supported; remove it, or quote a value that begins with !")
		return false
	}
	return true
}

func (b *binder) bindStruct(n *yaml.Node, v reflect.Value, f reflect.StructField) {
	field := v.Addr().Interface()
	if n.Kind != yaml.MappingNode {
		b.failNode(field, n, "%s must hold keys and values, not %s; see docs/configuration.md", cmp.Or(keyOf(f), "the file"), kindName(n))
		return
	}
	if pos := v.FieldByName("Pos"); pos.IsValid() {
		pos.SetString(b.pos(n))
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			b.failNode(field, key, "a key must be a plain word, not %s", kindName(key))
			continue
		}
		if line, twice := seen[key.Value]; twice {
			b.failNode(field, key, "%s is given twice, first on line %d; keep one", quote(key.Value), line)
			continue
		}
		seen[key.Value] = key.Line
		inner, ok := fieldByKey(v.Type(), key.Value)
		if !ok {
			b.unknown(v, key)
			continue
		}
		b.bind(value, v.FieldByIndex(inner.Index), inner)
	}
}

// unknown tells of a key that does not exist. Finding what was meant takes time,
// and nobody reads a thousand guesses.
func (b *binder) unknown(v reflect.Value, key *yaml.Node) {
	const guesses = 1000
	text := "unknown key " + quote(key.Value)
	if b.guessed++; b.guessed <= guesses {
		text = unknownKey(v.Type(), key.Value)
	}
	b.failNode(v.Addr().Interface(), key, "%s", text)
}

func (b *binder) bindList(n *yaml.Node, v reflect.Value, f reflect.StructField) {
	if n.Kind != yaml.SequenceNode {
		b.failNode(v.Addr().Interface(), n, "%s must be a list, not %s; write [ ] around it, or a line with - for each", keyOf(f), kindName(n))
		return
	}
	// Made at its full length: the addresses of the elements must not move.
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	v.Set(list)
	for i, item := range n.Content {
		e := list.Index(i)
		setDefaults(e)
		if item.Tag == "!!null" {
			b.failNode(e.Addr().Interface(), item, "an entry of %s is empty; in YAML # begins a comment: quote a value that holds one", keyOf(f))
			continue
		}
		b.bind(item, e, f)
	}
}

func (b *binder) bindScalar(n *yaml.Node, v reflect.Value, f reflect.StructField) {
	field := v.Addr().Interface()
	if n.Kind != yaml.ScalarNode {
		b.failNode(field, n, "%s must be a single value, not %s", keyOf(f), kindName(n))
		return
	}
	text := n.Value
	if isText(v.Type()) {
		var used []string
		var err error
		if text, used, err = expandEnv(text, b.env); err != nil {
			b.failNode(field, n, "%s %v", keyOf(f), err)
			return
		}
		for _, u := range used {
			b.hideValue(u)
		}
	}
	if f.Tag.Get("path") != "" && text != "" && !filepath.IsAbs(text) {
		text = filepath.Join(b.dir, text)
	}
	if err := setText(v, text); err != nil {
		b.failNode(field, n, "%s%s %v", keyOf(f), shown(v.Type(), n.Value), err)
		return
	}
	switch secret := field.(type) {
	case *Secret:
		b.hideValue(secret.Reveal())
	case *APIToken:
		b.hideValue(secret.Token.Reveal())
	}
}

// shown is the value as it is written in the file, unless it is a secret.
func shown(t reflect.Type, written string) string {
	if isSecret(t) {
		return ""
	}
	return ": " + quote(written)
}

// quote shortens and quotes what somebody wrote.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

// setText sets a value that is written as one word. Its errors end a sentence
// that began with the key.
func setText(v reflect.Value, text string) error {
	if v.Addr().Type().Implements(textType) {
		return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.Bool:
		if text != "true" && text != "false" {
			return errors.New("is neither true nor false")
		}
		v.SetBool(text == "true")
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return errors.New("is not a whole number")
		}
		v.SetInt(n)
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return errors.New("is not a number")
		}
		v.SetFloat(x)
	case reflect.String:
		if strings.ContainsFunc(text, isOddControl) {
			return errors.New("holds a control character; remove it")
		}
		v.SetString(text)
	default:
		return fmt.Errorf("cannot be set (%s)", v.Type())
	}
	return nil
}

func isOddControl(r rune) bool {
	return unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r'
}

// setDefaults sets what the default tags say, here and below.
func setDefaults(v reflect.Value) {
	if !isSection(v.Type()) {
		return
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if text, ok := f.Tag.Lookup("default"); ok {
			// A tag is part of the program: only a mistake in it can fail here.
			if err := setText(v.Field(i), text); err != nil {
				panic(fmt.Sprintf("config: default of %s %v", f.Name, err))
			}
		}
		setDefaults(v.Field(i))
	}
}

// isSection reports whether t is written as keys and values.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(textType)
}

// isText reports whether t is written as text, in which ${NAME} is replaced.
func isText(t reflect.Type) bool {
	return t.Kind() == reflect.String || reflect.PointerTo(t).Implements(textType)
}

// isSecret reports whether values of t must not be shown.
func isSecret(t reflect.Type) bool {
	return t == reflect.TypeFor[Secret]() || t == reflect.TypeFor[APIToken]()
}

// keyOf is the key that a field is written as; "" for a field that is not.
func keyOf(f reflect.StructField) string {
	key := f.Tag.Get("yaml")
	if key == "-" {
		return ""
	}
	return key
}

func fieldByKey(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); key != "" && keyOf(f) == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys and values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case n.Tag == "!!null":
		return "nothing"
	default:
		return "a single value"
	}
}

// typeName is how messages and the reference call a type.
func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Duration]():
		return "duration"
	case t == reflect.TypeFor[Size]():
		return "size"
	case t == reflect.TypeFor[Clock]():
		return "time of day"
	case t == reflect.TypeFor[Date]():
		return "date"
	case t == reflect.TypeFor[Weekdays]():
		return "weekday"
	case isSecret(t):
		return "secret"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.String {
			return "list of text"
		}
		return "list of " + typeName(t.Elem()) + "s"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Struct:
		return "section"
	default:
		return "text"
	}
}
