package slacktest

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// call is one request of the Web API. Slack takes the same arguments as a form
// (structures as JSON text), as JSON, or as a query.
type call struct {
	method      string
	token       string
	contentType string
	args        map[string]string
	// raw holds the structures of a JSON body as they came; they alias it.
	raw map[string]jsontext.Value
	// now is when the call was read.
	now time.Time
	// self is the WebSocket URL of the server as the caller reached it.
	self string
}

// arg returns an argument: a string as it is, anything else as JSON text.
func (c *call) arg(name string) string {
	if v, ok := c.raw[name]; ok {
		return string(v)
	}
	return c.args[name]
}

// value returns an argument that is JSON, or nil.
func (c *call) value(name string) jsontext.Value {
	if v, ok := c.raw[name]; ok {
		return v
	}
	if s := c.args[name]; s != "" {
		return jsontext.Value(s)
	}
	return nil
}

// has tells an argument that was left out from one that is empty.
func (c *call) has(name string) bool {
	_, ok := c.args[name]
	_, raw := c.raw[name]
	return ok || raw
}

func (c *call) bool(name string) bool {
	v := c.arg(name)
	return v == "true" || v == "1"
}

func (c *call) int(name string, def, most int) int {
	n, err := strconv.Atoi(c.arg(name))
	if err != nil || n <= 0 {
		return def
	}
	return min(n, most)
}

// readCall reads the arguments and the token. The string is Slack's error code
// for a body that cannot be read.
func readCall(w http.ResponseWriter, r *http.Request, method string) (*call, string) {
	c := &call{method: method, args: map[string]string{}, now: time.Now(), self: "ws://" + r.Host}
	if r.TLS != nil {
		c.self = "wss://" + r.Host
	}
	c.contentType, _, _ = mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.URL.RawQuery != "" {
		addForm(c.args, r.URL.Query())
	}
	var bad string
	if r.Body != nil {
		body, err := readAll(w, r)
		if err != nil {
			bad = "request_timeout"
		} else {
			bad = c.readBody(body, r.Header.Get("Content-Type"))
		}
	}
	c.token = c.args["token"]
	if t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		c.token = t
	}
	delete(c.args, "token")
	return c, bad
}

func (c *call) readBody(body []byte, header string) string {
	switch {
	case len(body) == 0:
		return ""
	case c.contentType == "application/json":
		return c.readJSON(body)
	case c.contentType == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return "invalid_form_data"
		}
		addForm(c.args, form)
		return ""
	case c.contentType == "multipart/form-data":
		return c.readMultipart(body, header)
	case c.contentType == "":
		return "missing_post_type"
	default:
		return "invalid_post_type"
	}
}

func (c *call) readMultipart(body []byte, header string) string {
	r := http.Request{
		Method: http.MethodPost, Header: http.Header{"Content-Type": {header}},
		Body: io.NopCloser(bytes.NewReader(body)),
	}
	if err := r.ParseMultipartForm(maxBody); err != nil {
		return "invalid_form_data"
	}
	addForm(c.args, url.Values(r.MultipartForm.Value))
	return ""
}

// readAll reads a body of at most maxBody bytes.
func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	src := http.MaxBytesReader(w, r.Body, maxBody)
	if r.ContentLength < 0 || r.ContentLength > maxBody {
		return io.ReadAll(src)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(src, body)
	return body, err
}

func (c *call) readJSON(body []byte) string {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return "json_not_object"
	}
	c.raw = map[string]jsontext.Value{}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return "invalid_json"
		}
		key := name.String()
		v, err := dec.ReadValue()
		if err != nil {
			return "invalid_json"
		}
		switch v.Kind() {
		case '"':
			text, err := jsontext.AppendUnquote(nil, v)
			if err != nil {
				return "invalid_json"
			}
			c.args[key] = string(text)
		case 'n':
		default:
			// The decoder reads from body itself, which nobody changes: v
			// stays valid.
			c.raw[key] = v
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return "invalid_json"
	}
	return ""
}

func addForm(args map[string]string, form url.Values) {
	for k, v := range form {
		if len(v) > 0 {
			args[k] = v[0]
		}
	}
}

// answer is what a call gets. The zero code is success.
type answer struct {
	status     int
	code       string
	retryAfter *int
	body       []byte
	html       bool
}

// reply is the envelope of every answer. Unused fields are left out.
type reply struct {
	OK               bool              `json:"ok"`
	Error            string            `json:"error,omitzero"`
	Needed           string            `json:"needed,omitzero"`
	Provided         string            `json:"provided,omitzero"`
	Errors           []string          `json:"errors,omitzero"`
	ResponseMetadata *responseMetadata `json:"response_metadata,omitzero"`
}

type responseMetadata struct {
	NextCursor string   `json:"next_cursor"`
	Messages   []string `json:"messages,omitzero"`
}

func succeeded(v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		return answer{status: http.StatusInternalServerError, code: "internal_error", body: []byte(err.Error())}
	}
	return answer{status: http.StatusOK, body: body}
}

func failed(code string) answer { return failedWith(code, reply{}) }

func failedWith(code string, r reply) answer {
	r.OK, r.Error = false, code
	a := succeeded(r)
	a.code = code
	return a
}

func denied(code, needed, provided string) answer {
	return failedWith(code, reply{Needed: needed, Provided: provided})
}

// invalidBlocks answers as Slack does: the code, and what is wrong where.
func invalidBlocks(code string, problems []string) answer {
	return failedWith(code, reply{Errors: problems, ResponseMetadata: &responseMetadata{Messages: problems}})
}

func rateLimited(after time.Duration) answer {
	a := failed("ratelimited")
	secs := max(1, int((after+time.Second-1)/time.Second))
	a.status, a.retryAfter = http.StatusTooManyRequests, &secs
	return a
}

func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	if a.html {
		h.Set("Content-Type", "text/html; charset=utf-8")
	} else {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	if a.retryAfter != nil {
		h.Set("Retry-After", strconv.Itoa(*a.retryAfter))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}
