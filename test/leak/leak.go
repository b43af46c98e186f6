// Package leak finds secrets where none may be. Every secret that a test gives
// the program has the Mark in it, and the tokens that the program makes can be
// known by their form: so whatever is left of a test can be searched without
// knowing what the test's secrets were.
//
// What has to hold secrets is not searched: the configuration and the files that
// it names, and what the emulators keep of what they were sent.
package leak

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Mark is in every secret that tests give the program. Its letters are written
// as they are in URLs, in JSON and in HTML.
const Mark = "canary"

// form is a way in which a secret may be written.
type form struct {
	how  string
	text []byte
}

// forms are the ways in which a secret is written on the wire and in files.
func forms(secret string) []form {
	var out []form
	add := func(how, text string) {
		if !slices.ContainsFunc(out, func(f form) bool { return string(f.text) == text }) {
			out = append(out, form{how, []byte(text)})
		}
	}
	add("as it is", secret)
	add("escaped", url.QueryEscape(secret))
	add("escaped", url.PathEscape(secret))
	add("in HTML", html.EscapeString(secret))
	if quoted, err := json.Marshal(secret); err == nil {
		add("in JSON", string(quoted[1:len(quoted)-1]))
	}
	add("as hex", hex.EncodeToString([]byte(secret)))
	add("as hex", strings.ToUpper(hex.EncodeToString([]byte(secret))))
	for before := range 3 {
		// How base64 writes it depends on what stands before it: the characters that
		// come of its own bits alone are looked for.
		from, to := (before*8+5)/6, (before+len(secret))*8/6
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			add("in base64", encoding.EncodeToString([]byte("\x00\x00"[:before] + secret))[from:to])
		}
	}
	return out
}

// made is a token as `tocsin token create` shows it once.
var made = regexp.MustCompile(`tocsin_[A-Z2-7]{59}`)

// Search is an io.Writer that looks for a secret in what is written to it, however
// that is cut, and remembers the first. It never fails, and can be used by many
// goroutines. The zero value finds nothing, see NewSearch.
type Search struct {
	forms []form
	made  bool // tokens that were made are secrets too
	seam  int  // at least the length of what is looked for

	mu    sync.Mutex
	tail  []byte // the end of what was written before
	found error
}

// NewSearch looks for the Mark, for tokens that were made, and for more secrets.
func NewSearch(more ...string) *Search {
	s := ShownTokens()
	s.made = true
	for _, secret := range more {
		s.forms = append(s.forms, forms(secret)...)
	}
	for _, f := range s.forms {
		s.seam = max(s.seam, len(f.text))
	}
	return s
}

// ShownTokens looks for the Mark alone: where whoever makes a token is shown it.
func ShownTokens() *Search { return &Search{forms: slices.Clone(formsOfMark()), seam: 128} }

var formsOfMark = sync.OnceValue(func() []form { return forms(Mark) })

// Write searches p, together with the end of what was written before.
func (s *Search) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found != nil {
		return len(p), nil
	}
	if len(s.tail) > 0 { // what lies across
		s.look(append(s.tail, p[:min(len(p), s.seam)]...))
	}
	s.look(p)
	end := append(s.tail, p[max(0, len(p)-s.seam):]...)
	s.tail = bytes.Clone(end[max(0, len(end)-s.seam):])
	return len(p), nil
}

func (s *Search) look(text []byte) {
	for _, f := range s.forms {
		if at := bytes.Index(text, f.text); at >= 0 {
			s.find(f.how, text, at, at+len(f.text))
			return
		}
	}
	if s.made && bytes.Contains(text, []byte("tocsin_")) {
		if at := made.FindIndex(text); at != nil {
			s.find("a token that was made", text, at[0], at[1])
		}
	}
}

func (s *Search) find(how string, text []byte, from, to int) {
	around := text[max(0, from-120):min(len(text), to+60)]
	s.found = fmt.Errorf("a secret, %s: …%q…", how, strings.ToValidUTF8(string(around), "?"))
}

// Err says what was found; nil: nothing.
func (s *Search) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}

// Text searches a text, for more secrets too.
func Text(text string, more ...string) error {
	s := NewSearch(more...)
	_, _ = io.WriteString(s, text)
	return s.Err()
}

// File searches a file.
func File(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	s := NewSearch()
	if _, err := io.CopyBuffer(struct{ io.Writer }{s}, struct{ io.Reader }{f}, make([]byte, 1<<20)); err != nil {
		return err
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Files searches what is at the paths: files, and folders with all below them.
// What is not there is passed over, and so are configurations (*.yml, and what they
// name: *.key), and what is neither file nor folder.
func Files(paths ...string) error {
	var found []error
	for _, path := range paths {
		err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && !slices.Contains([]string{".yml", ".key"}, filepath.Ext(path)) {
				err = File(path)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				found = append(found, err)
			}
			return nil
		})
		found = append(found, err)
	}
	return errors.Join(found...)
}
