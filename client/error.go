package client

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode"

	"github.com/tocsin-oncall/tocsin"
)

// ErrUnreached is what an error is where the server was not reached, or broke off
// before it had answered: what was asked may or may not have been done.
var ErrUnreached = errors.New("the server was not reached")

type unreached struct{ error }

func (unreached) Is(target error) bool { return target == ErrUnreached }
func (u unreached) Unwrap() error      { return u.error }

// Error is the server's own word on why not: problem details as of RFC 9457.
// errors.Is finds tocsin.ErrNotFound, ErrConflict, ErrInvalid and ErrUnavailable
// in it.
type Error struct {
	// Status is the HTTP status, and Title its name.
	Status int    `json:"status"`
	Title  string `json:"title"`
	// Detail says it for a person.
	Detail string `json:"detail"`
	// Code says it for programs: "not_found", "conflict". Codes are added, never
	// renamed.
	Code string `json:"code"`
	// Field is the part of the request that is wrong; empty: none.
	Field string `json:"field"`
}

// Error returns the field and the detail.
func (e *Error) Error() string {
	switch {
	case e.Detail == "":
		return "the server answered " + e.Title
	case e.Field != "":
		return e.Field + ": " + e.Detail
	}
	return e.Detail
}

// Is tells what kind of error it is.
func (e *Error) Is(target error) bool {
	switch e.Status {
	case http.StatusNotFound:
		return target == tocsin.ErrNotFound
	case http.StatusConflict:
		return target == tocsin.ErrConflict
	case http.StatusBadRequest:
		return target == tocsin.ErrInvalid
	case http.StatusServiceUnavailable:
		return target == tocsin.ErrUnavailable
	}
	return false
}

// maxProblem is the most that is read of an answer that is not a success.
const maxProblem = 64 << 10

func errorOf(resp *http.Response) error {
	e := &Error{}
	if json.NewDecoder(io.LimitReader(resp.Body, maxProblem)).Decode(e) != nil {
		e = &Error{}
	}
	e.Status = resp.StatusCode
	if e.Title == "" {
		e.Title = resp.Status
	}
	for _, text := range []*string{&e.Title, &e.Detail, &e.Code, &e.Field} {
		*text = strings.Map(printable, *text)
	}
	return e
}

// printable keeps what a server repeats of others' text from moving a terminal's
// cursor.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return ' '
	}
	return r
}
