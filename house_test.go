package tocsin_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The rules of the house that need no judgement. The linter holds to most of
// them too; here they are whole, exact, and part of `go test`.

const module = "github.com/tocsin-oncall/tocsin"

// homes says where a technology may be imported: the folders, and whether tests
// anywhere may. A folder that ends in "/..." stands for all below it too.
var homes = []struct {
	technology string
	folders    []string
	tests      bool
}{
	{"go.etcd.io/bbolt", []string{"storage/bolt"}, false},
	{"github.com/nats-io", []string{"router/stream/..."}, false},
	{"github.com/labstack", []string{"server"}, false},
	{"github.com/yuin/goldmark", []string{"runbooks"}, true},
	{"os/exec", []string{"runbooks/remediation/sandbox", "test/..."}, true},
	{"golang.org/x/sys", []string{"runbooks/remediation/sandbox"}, true},
	{"github.com/landlock-lsm", []string{"runbooks/remediation/sandbox"}, false},
	{"github.com/alecthomas/kong", []string{"cmd/..."}, false},
	{"github.com/slack-go", []string{"notifiers/slack/..."}, false},
	{"github.com/gorilla/websocket", []string{"notifiers/slack/socket", "notifiers/slack/slacktest"}, false},
	{"github.com/PagerDuty", []string{"notifiers/pagerduty/..."}, false},
	{"github.com/wneessen/go-mail", []string{"notifiers/email/..."}, false},
	{"github.com/emersion", []string{"notifiers/email/smtptest"}, false},
	{"github.com/coreos/go-oidc", []string{"access/oidc"}, false},
	{"golang.org/x/oauth2", []string{"access/oidc"}, false},
	{"github.com/arran4/golang-ical", []string{"escalation/oncall/ical"}, false},
}

// innerEdges are the imports of a package further down in its own folder.
var innerEdges = [][2]string{
	{"escalation", "escalation/oncall"},
	{"escalation/watch", "escalation"},
	{"escalation/watch", "escalation/oncall"},
	{"escalation/feed", "escalation/oncall"},
	{"escalation/oncall/ical", "escalation/oncall"},
	{"router/stream", "router/stream/internal/worker"},
	{"runbooks", "runbooks/promql"},
	{"server", "server/postmortem"},
	{"runbooks/remediation", "runbooks/promql"},
}

// longFiles are those of more than maxLines lines, with the reason.
var longFiles = map[string]string{}

const maxLines = 400

// goFile is one parsed source file.
type goFile struct {
	path, folder string // slash-separated, from the module's root; folder "." is the root
	test         bool
	lines        int
	ast          *ast.File
}

// forTests reports whether the file is part of a test, an emulator, a suite or
// the benchmark.
func (f *goFile) forTests() bool {
	return f.test || strings.HasSuffix(f.folder, "test") || within(f.folder, "test")
}

func (f *goFile) imports() []string {
	var out []string
	for _, spec := range f.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// house parses every Go file of the module once.
var house = sync.OnceValues(func() ([]*goFile, error) {
	var files []*goFile
	set := token.NewFileSet()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && p != "." && (name[0] == '.' || name == "testdata" || name == "bin" || name == "tools") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(set, p, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		p = filepath.ToSlash(p)
		files = append(files, &goFile{
			path: p, folder: path.Dir(p), test: strings.HasSuffix(p, "_test.go"),
			lines: bytes.Count(src, []byte("\n")), ast: parsed,
		})
		return nil
	})
	return files, err
})

func houseFiles(t *testing.T) []*goFile {
	t.Helper()
	files, err := house()
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func TestTheRootKnowsTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	for _, f := range houseFiles(t) {
		if f.folder != "." || f.test {
			continue
		}
		for _, imp := range f.imports() {
			first, _, _ := strings.Cut(imp, "/")
			assert.NotContains(t, first, ".", "%s imports %s", f.path, imp)
		}
	}
}

// TestTheImportStar: packages import the root, and cmd imports all; siblings do
// not know each other.
func TestTheImportStar(t *testing.T) {
	t.Parallel()
	for _, f := range houseFiles(t) {
		for _, imp := range f.imports() {
			to, ours := strings.CutPrefix(imp, module+"/")
			if ours && !mayImport(f, to) {
				t.Errorf("%s imports %s: siblings do not import each other; take an interface, and let cmd/tocsin wire", f.path, imp)
			}
		}
	}
}

func mayImport(f *goFile, to string) bool {
	switch from := f.folder; {
	case from == to: // an external test of the package
		return true
	case to == "test/leak": // what it finds fails a test
		return f.forTests()
	case within(to, "cmd"), within(to, "test"):
		return within(from, "test") && within(to, "test")
	case within(from, "cmd"), within(from, "test"), f.test:
		return true
	case strings.HasSuffix(to, "test"): // emulators and suites are for tests, the demo and the benchmark
		return false
	case slices.Contains(innerEdges, [2]string{from, to}), within(from, to):
		return true
	default: // streamtest serves stream, and may know what is inside
		return strings.HasSuffix(from, "test") && within(to, path.Dir(from))
	}
}

// within reports whether folder is of, or below it.
func within(folder, of string) bool { return folder == of || strings.HasPrefix(folder, of+"/") }

func TestEachTechnologyHasOneHome(t *testing.T) {
	t.Parallel()
	for _, f := range houseFiles(t) {
		for _, imp := range f.imports() {
			for _, home := range homes {
				if !within(imp, home.technology) || f.test && home.tests {
					continue
				}
				at := slices.ContainsFunc(home.folders, func(folder string) bool {
					tree, whole := strings.CutSuffix(folder, "/...")
					return f.folder == tree || whole && within(f.folder, tree)
				})
				assert.True(t, at, "%s imports %s, whose home is %q", f.path, imp, home.folders)
			}
		}
	}
}

func TestNothingHappensBeforeMain(t *testing.T) {
	t.Parallel()
	for _, f := range houseFiles(t) {
		for _, decl := range f.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				assert.False(t, fn.Recv == nil && fn.Name.Name == "init", "%s has an init function: call it from where it is needed", f.path)
			}
		}
	}
}

// TestNoGlobalState: a package's variables are sentinel errors, compiled
// patterns, embedded files, and tables that nobody changes.
func TestNoGlobalState(t *testing.T) {
	t.Parallel()
	for _, f := range houseFiles(t) {
		if f.forTests() {
			continue
		}
		for _, decl := range f.ast.Decls {
			vars, ok := decl.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			for _, spec := range vars.Specs {
				spec := spec.(*ast.ValueSpec)
				assert.True(t, constantLike(f, vars, spec), "%s: the variable %s is global state: pass it in, or make it a constant",
					f.path, spec.Names[0].Name)
			}
		}
	}
}

// compiled are the functions whose result is as good as a constant.
var compiled = []string{
	"errors.New", "fmt.Errorf", "tocsin.Invalid", "tocsin.Unavailable", "tocsin.Permanent",
	"regexp.MustCompile", "strings.NewReplacer", "template.Must", "netip.MustParsePrefix", "reflect.TypeFor",
	"goldmark.New", "json.JoinOptions",
}

func constantLike(f *goFile, decl *ast.GenDecl, spec *ast.ValueSpec) bool {
	if spec.Names[0].Name == "_" || embeds(decl.Doc) || embeds(spec.Doc) {
		return true
	}
	if len(spec.Values) == 0 {
		return false
	}
	for _, value := range spec.Values {
		switch v := value.(type) {
		case *ast.CompositeLit:
			// A table; exported ones could be changed from outside.
			if ast.IsExported(spec.Names[0].Name) {
				return false
			}
		case *ast.CallExpr:
			if !slices.Contains(compiled, callee(v)) && !literals(v) {
				return false
			}
		case *ast.BasicLit:
			// The linker sets the version (-X main.version).
			if f.ast.Name.Name != "main" {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// literals reports whether a call computes a table from literals alone, by a
// function of the same package or a conversion.
func literals(call *ast.CallExpr) bool {
	switch call.Fun.(type) {
	case *ast.Ident, *ast.ArrayType:
	default:
		return false
	}
	return len(call.Args) > 0 && !slices.ContainsFunc(call.Args, func(arg ast.Expr) bool {
		switch arg.(type) {
		case *ast.BasicLit, *ast.CompositeLit, *ast.BinaryExpr:
			return false
		default:
			return true
		}
	})
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// callee is the called function as written: "errors.New"; of a chain, the first.
func callee(call *ast.CallExpr) string {
	fun := call.Fun
	if generic, ok := fun.(*ast.IndexExpr); ok {
		fun = generic.X
	}
	switch fn := fun.(type) {
	case *ast.SelectorExpr:
		switch x := fn.X.(type) {
		case *ast.Ident:
			return x.Name + "." + fn.Sel.Name
		case *ast.CallExpr:
			return callee(x)
		}
	case *ast.Ident:
		return fn.Name
	}
	return ""
}

func TestFilesFitOneReading(t *testing.T) {
	t.Parallel()
	for _, f := range houseFiles(t) {
		if reason, listed := longFiles[f.path]; f.lines <= maxLines {
			assert.False(t, listed, "%s is listed as long (%s) and is not", f.path, reason)
		} else if !f.forTests() {
			assert.True(t, listed, "%s has %d lines: split it, or list it with the reason", f.path, f.lines)
		}
	}
}

// TestTestsDoNotSleep: in a synctest bubble sleeping costs nothing and says what
// is meant; in real time it makes a test slow, or wrong on a busy machine.
func TestTestsDoNotSleep(t *testing.T) {
	t.Parallel()
	bubbles := map[string]bool{}
	for _, f := range houseFiles(t) {
		bubbles[f.folder] = bubbles[f.folder] || f.test && slices.Contains(f.imports(), "testing/synctest")
	}
	for _, f := range houseFiles(t) {
		if !f.test || bubbles[f.folder] {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && callee(call) == "time.Sleep" {
				t.Errorf("%s sleeps: wait for a signal, or poll with require.Eventually", f.path)
			}
			return true
		})
	}
}

func TestTheRulesOfTheStar(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"cmd/tocsin/app.go", "router/stream", true},
		{"cmd/tocsin/demo.go", "notifiers/slack/slacktest", true},
		{"notifiers/slack/slack.go", "notifiers", true},
		{"notifiers/slack/slack.go", "notifiers/pagerduty", false},
		{"notifiers/dispatcher.go", "notifiers/slack", false},
		{"router/router.go", "router/stream", false},
		{"router/router.go", "storage/bolt", false},
		{"router/router_test.go", "storage/bolt", true},
		{"router/router.go", "cmd/tocsin", false},
		{"router/router_test.go", "cmd/tocsin", false},
		{"router/stream/streamtest/memory.go", "router/stream/internal/worker", true},
		{"storage/storagetest/model.go", "storage", true},
		{"storage/bolt/open.go", "storage/storagetest", false},
		{"escalation/engine.go", "escalation/oncall", true},
		{"escalation/oncall/schedule.go", "notifiers", false},
		{"test/story/story_test.go", "router", true},
		{"server/server_test.go", "test/leak", true},
		{"server/server.go", "test/leak", false},
	} {
		f := &goFile{path: c.from, folder: path.Dir(c.from), test: strings.HasSuffix(c.from, "_test.go")}
		assert.Equal(t, c.want, mayImport(f, c.to), "%s imports %s", c.from, c.to)
	}
}
