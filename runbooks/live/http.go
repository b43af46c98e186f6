package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tocsin-oncall/tocsin"
)

// maxText is the longest text of Prometheus' that is passed on, in bytes.
const maxText = 400

// Error is a question that Prometheus has refused. It satisfies
// errors.Is(err, tocsin.ErrInvalid) where the expression is at fault, and
// errors.Is(err, tocsin.ErrUnavailable) otherwise.
type Error struct {
	// Status is HTTP's.
	Status int
	// Type is errorType: "bad_data", "execution", "timeout". Empty: what answered
	// was not Prometheus' API.
	Type string
	// Text is what Prometheus said, on one line, cut, without secrets.
	Text string
}

// Error is what Prometheus said.
func (e *Error) Error() string {
	if e.Type == "" {
		return "asking Prometheus: " + e.Text
	}
	return fmt.Sprintf("Prometheus says: %s: %s", e.Type, e.Text)
}

// Is tells the expressions that can never be right from what may pass.
func (e *Error) Is(target error) bool {
	wrong := e.Type == "bad_data" || e.Type == "execution"
	return wrong && target == tocsin.ErrInvalid || !wrong && target == tocsin.ErrUnavailable
}

// call asks with POST, which takes long expressions, and with GET where a proxy
// does not let POST through.
func (c *Client) call(ctx context.Context, path string, form url.Values) (Result, error) {
	if deadline, ok := ctx.Deadline(); ok { // Prometheus stops when nobody waits any more
		form.Set("timeout", strconv.FormatInt(max(time.Until(deadline).Milliseconds(), 1), 10)+"ms")
	}
	status, body, err := c.send(ctx, http.MethodPost, path, form, MaxBody)
	if err == nil && (status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented) {
		status, body, err = c.send(ctx, http.MethodGet, path, form, MaxBody)
	}
	if err != nil {
		return Result{}, err
	}
	return c.read(status, body)
}

// send reads at most so many bytes of the answer; larger ones are an error.
func (c *Client) send(ctx context.Context, method, path string, form url.Values, most int64) (status int, body []byte, err error) {
	u := *c.base
	u.Path += "/api/v1/" + path
	var content io.Reader
	if method == http.MethodGet {
		u.RawQuery = form.Encode()
	} else {
		content = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), content)
	if err != nil {
		return 0, nil, c.failed(err)
	}
	if content != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Accept", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, c.failed(err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, most+1))
	switch {
	case err != nil:
		return 0, nil, c.failed(err)
	case int64(len(body)) > most:
		return 0, nil, tocsin.Unavailable(fmt.Errorf("the answer of %s is larger than %d MiB: %s", c.host, most>>20, smaller(path)))
	}
	return res.StatusCode, body, nil
}

// smaller says how an answer becomes smaller.
func smaller(path string) string {
	if path == "rules" {
		return "a newer Prometheus leaves out the alerts that fire"
	}
	return "have the expression give fewer series"
}

// failed words a failure to reach Prometheus: without the URL, which may hold a
// password and the whole expression.
func (c *Client) failed(err error) error {
	var about *url.Error
	if errors.As(err, &about) {
		err = about.Err
	}
	return tocsin.Unavailable(fmt.Errorf("asking %s: %s: see whether prometheus.url is right and Prometheus runs", c.host, c.clean(err.Error())))
}

// envelope is what every answer of the API is.
type envelope struct {
	Status    string          `json:"status"`
	Data      json.RawMessage `json:"data"`
	ErrorType string          `json:"errorType"`
	Error     string          `json:"error"`
	Warnings  []string        `json:"warnings"`
}

func (c *Client) read(status int, body []byte) (Result, error) {
	e, err := c.open(status, body)
	if err != nil {
		return Result{}, err
	}
	r, err := decode(e.Data)
	if err != nil {
		return Result{}, c.unreadable(status, err)
	}
	r.Warnings = c.warnings(&e)
	return r, nil
}

// open takes what was asked for out of an answer.
func (c *Client) open(status int, body []byte) (e envelope, err error) {
	err = json.Unmarshal(body, &e)
	switch {
	case err == nil && e.Status == "error":
		return e, &Error{Status: status, Type: c.clean(e.ErrorType), Text: c.clean(e.Error)}
	case status != http.StatusOK:
		return e, &Error{Status: status, Text: c.host + " answers " + strconv.Itoa(status) + " " + http.StatusText(status) + ": " + advice(status)}
	case err != nil || e.Status != "success":
		return e, &Error{Status: status, Text: c.host + " does not answer as Prometheus does: correct prometheus.url"}
	}
	return e, nil
}

func (c *Client) unreadable(status int, err error) error {
	return &Error{Status: status, Text: c.host + " gives an answer that cannot be read: " + c.clean(err.Error())}
}

func (c *Client) warnings(e *envelope) (out []string) {
	for _, w := range e.Warnings[:min(len(e.Warnings), maxWarnings)] {
		out = append(out, c.clean(w))
	}
	return out
}

func advice(status int) string {
	switch {
	case status/100 == 3:
		return "redirects are not followed; put the address that it leads to into prometheus.url"
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return "correct prometheus.bearer_token"
	case status == http.StatusNotFound:
		return "there is no API there; correct prometheus.url"
	default:
		return "look into its log"
	}
}

// clean makes one line of a text of Prometheus', without secrets, and cuts it.
func (c *Client) clean(s string) string {
	s = c.secrets.Replace(strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsGraphic(r)
	}), " ")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}
