package server

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// How long, and how many bytes of answers, are remembered for those who ask again.
const (
	onceLife  = tocsin.OnceLife
	onceBytes = 16 << 20
	// onceCost is what an answer costs beside its bytes.
	onceCost = 512
)

// codeReused tells that a key was used for something else.
const codeReused = "key_reused"

// headerReplayed tells that an answer is that of the first time.
const headerReplayed = "Idempotency-Replayed"

// onces are the requests with an Idempotency-Key that were answered, or are under
// way, so that asking again changes nothing more. They are this process's: what would
// be made twice without it has its key in the store as well, and so have actions.
type onces struct {
	mu    sync.Mutex
	of    map[digest]*once
	order []*once // the oldest first
	bytes int
}

// once is one of them.
type once struct {
	name, body digest
	at         time.Time
	// answered is false while it is under way.
	answered bool
	// secret answers are not kept.
	secret bool
	status int
	header http.Header
	text   []byte
}

// begin returns the one of that name, or begins it.
func (o *onces) begin(name, body digest, now time.Time) (known *once, begun *once) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.order) > 0 && (o.bytes > onceBytes || now.Sub(o.order[0].at) > onceLife) {
		o.drop(o.order[0])
		o.order[0] = nil
		o.order = o.order[1:]
	}
	if known = o.of[name]; known != nil {
		was := *known
		return &was, nil
	}
	begun = &once{name: name, body: body, at: now}
	o.of[name] = begun
	return nil, begun
}

func (o *onces) drop(one *once) {
	if o.of[one.name] == one {
		delete(o.of, one.name)
		o.bytes -= len(one.text) + onceCost
	}
}

// end keeps the answer of one, or forgets it where nothing was done.
func (o *onces) end(one, answer *once) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if answer == nil {
		delete(o.of, one.name)
		return
	}
	one.answered, one.secret, one.status, one.header, one.text = true, answer.secret, answer.status, answer.header, answer.text
	o.order = append(o.order, one)
	o.bytes += len(one.text) + onceCost
}

// once has what a program asks for under an Idempotency-Key happen once: asking again
// is answered as the first time was. What was refused can be asked for again.
func (s *Server) once(c echo.Context, who caller, h personal) error {
	r := c.Request()
	key := r.Header.Get(headerIdempotency)
	if key == "" || r.Method == http.MethodGet || r.Method == http.MethodHead || !strings.HasPrefix(c.Path(), "/api/") {
		return h(c, who.Principal)
	}
	if err := validName(headerIdempotency, key); err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(s.config.Limits.APIBody)+1))
	if err != nil {
		return readRefusal(err)
	}
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), r.Body))
	name := digestOf(fmt.Sprintf("%q %q %q %q %q", who.share, who.Name, r.Method, r.URL.RequestURI(), key))
	known, begun := s.onces.begin(name, digest(sha256.Sum256(body)), s.deps.Now())
	if known != nil {
		return known.again(c, digest(sha256.Sum256(body)))
	}
	var answer *once
	defer func() { s.onces.end(begun, answer) }()
	if err := s.keep(c, who.Principal, name, begun.body); err != nil {
		return s.repeated(c, err)
	}
	kept := &keptAnswer{ResponseWriter: c.Response().Writer}
	c.Response().Writer = kept
	err = h(c, who.Principal)
	c.Response().Writer = kept.ResponseWriter
	if err == nil && c.Response().Status < http.StatusMultipleChoices {
		answer = kept.once(c)
	}
	return s.repeated(c, err)
}

// again answers as the first time was answered.
func (o *once) again(c echo.Context, body digest) error {
	switch {
	case o.body != body:
		return errReused()
	case !o.answered:
		return refuse(http.StatusConflict, codeConflict, headerIdempotency, "a request with this key is under way; ask again in a second")
	case o.secret:
		return errSecret()
	}
	h := c.Response().Header()
	for name, values := range o.header {
		h[name] = values
	}
	h.Set(headerReplayed, "true")
	return c.Blob(o.status, h.Get(echo.HeaderContentType), o.text)
}

func errReused() error {
	return refuse(http.StatusUnprocessableEntity, codeReused, headerIdempotency, "this key was sent before, with another body; make a new key for something new")
}

func errSecret() error {
	return refuse(http.StatusConflict, codeConflict, headerIdempotency, "it was done, and its answer, which is a secret, is not kept; look at what there is, and take back what is of no use")
}

// keptAnswer is an answer that is kept while it is written.
type keptAnswer struct {
	http.ResponseWriter
	text bytes.Buffer
}

// Unwrap lets http.ResponseController through.
func (k *keptAnswer) Unwrap() http.ResponseWriter { return k.ResponseWriter }

// Write writes, and keeps.
func (k *keptAnswer) Write(b []byte) (int, error) {
	k.text.Write(b)
	return k.ResponseWriter.Write(b)
}

// once is what is remembered of the answer.
func (k *keptAnswer) once(c echo.Context) *once {
	h := c.Response().Header()
	one := &once{status: c.Response().Status, header: http.Header{}, secret: strings.Contains(h.Get(echo.HeaderCacheControl), "no-store")}
	for _, name := range []string{echo.HeaderContentType, headerETag} {
		if v := h.Get(name); v != "" {
			one.header.Set(name, v)
		}
	}
	if !one.secret {
		one.text = k.text.Bytes()
	}
	return one
}
