package tocsin

import (
	"errors"
	"fmt"
	"time"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotFound: there is no such thing.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable: not now; the same again later may succeed. HTTP answers
	// 503.
	ErrUnavailable = errors.New("unavailable")
	// ErrInvalid: this can never be right. HTTP answers 400.
	ErrInvalid = errors.New("invalid")
	// ErrConflict: it would do harm as things stand; the error says what to
	// confirm. HTTP answers 409.
	ErrConflict = errors.New("conflict")
)

// Invalid returns an error that satisfies errors.Is(err, ErrInvalid) and names
// the field that is wrong.
func Invalid(field, format string, args ...any) error {
	return &invalidError{field: field, text: fmt.Sprintf(format, args...)}
}

type invalidError struct{ field, text string }

func (e *invalidError) Error() string        { return e.field + ": " + e.text }
func (e *invalidError) Is(target error) bool { return target == ErrInvalid }

// Unavailable returns an error that satisfies errors.Is(err, ErrUnavailable)
// and wraps the cause.
func Unavailable(cause error) error { return fmt.Errorf("%w: %w", ErrUnavailable, cause) }

// permanentError marks a failure that trying again cannot mend.
type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent marks err as one that trying again cannot mend: a channel that does
// not exist, a token that was revoked.
func Permanent(err error) error { return &permanentError{err} }

// IsPermanent reports whether err was marked with Permanent.
func IsPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}

// retryError carries when to try again and whether the whole provider asked
// for a pause.
type retryError struct {
	err   error
	after time.Duration
}

func (e *retryError) Error() string { return e.err.Error() }
func (e *retryError) Unwrap() error { return e.err }

// RetryAfter marks err as temporary, to be tried again no sooner than after d,
// and with it everything else for the same provider.
func RetryAfter(err error, d time.Duration) error { return &retryError{err, d} }

// RetryDelay returns the delay that err was marked with, and whether it was.
func RetryDelay(err error) (time.Duration, bool) {
	var r *retryError
	if errors.As(err, &r) {
		return r.after, true
	}
	return 0, false
}

// unclearError marks a failure after which the provider may have acted.
type unclearError struct{ err error }

func (e *unclearError) Error() string { return e.err.Error() }
func (e *unclearError) Unwrap() error { return e.err }

// Unclear marks err as one after which the provider may have acted all the
// same: a timeout, a reset after the request was written.
func Unclear(err error) error { return &unclearError{err} }

// IsUnclear reports whether err was marked with Unclear.
func IsUnclear(err error) bool {
	var u *unclearError
	return errors.As(err, &u)
}
