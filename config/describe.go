package config

import (
	"embed"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
)

// The comments of the structs are the words of the reference and the schema.
//
//go:embed config.go config_access.go config_audit.go config_oncall.go config_people.go config_policy.go config_doors.go config_receiver.go config_route.go config_remediation.go config_status.go
var sources embed.FS

// section is a struct of the configuration and where it is written: "" for the
// whole, "server.limits", "receivers[].slack_configs[]".
type section struct {
	path string
	typ  reflect.Type
	// field is whose comment introduces the section: "Server.Limits".
	field string
	// restart is true where a change of anything needs one.
	restart bool
}

// sections lists the structs in the order of the file, each once.
func sections() []section {
	seen := map[reflect.Type]bool{}
	var out []section
	var walk func(s section)
	walk = func(s section) {
		t := s.typ
		if t.Kind() == reflect.Slice {
			s.path += "[]"
		}
		s.typ = element(t)
		if !isSection(s.typ) || seen[s.typ] {
			return
		}
		seen[s.typ] = true
		out = append(out, s)
		for i := range s.typ.NumField() {
			f := s.typ.Field(i)
			if key := keyOf(f); key != "" {
				walk(section{
					path: strings.TrimPrefix(s.path+"."+key, "."), typ: f.Type,
					field: s.typ.Name() + "." + f.Name, restart: s.restart || f.Tag.Get("restart") != "",
				})
			}
		}
	}
	walk(section{typ: reflect.TypeFor[Config]()})
	return out
}

// element is the type below pointers and lists.
func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

// comments holds the comment of each field, as "Server.Listen", and what the
// comment of each struct adds to its first sentence, as "Server", in one line
// each.
func comments() (map[string]string, error) {
	entries, err := sources.ReadDir(".")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, e := range entries {
		src, err := sources.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), src, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				commentsOf(g, out)
			}
		}
	}
	return out, nil
}

func commentsOf(g *ast.GenDecl, out map[string]string) {
	for _, s := range g.Specs {
		t, ok := s.(*ast.TypeSpec)
		if !ok {
			continue
		}
		st, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		// Its first sentence is for readers of the code; the field that leads to
		// the struct says the same better.
		_, out[t.Name.Name], _ = strings.Cut(oneLine(g.Doc), ". ")
		for _, f := range st.Fields.List {
			for _, name := range f.Names {
				out[t.Name.Name+"."+name.Name] = oneLine(f.Doc)
			}
		}
	}
}

func oneLine(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }
