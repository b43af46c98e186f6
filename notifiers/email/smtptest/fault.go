package smtptest

import (
	"time"

	"github.com/emersion/go-smtp"
)

// At is where in a session a fault strikes.
type At string

// The places of faults. What a server says at AtEnd it says after the line with
// the single dot, when it has the whole mail.
const (
	AtDial  At = "dial"
	AtHello At = "EHLO"
	AtAuth  At = "AUTH"
	AtMail  At = "MAIL"
	AtRcpt  At = "RCPT"
	AtEnd   At = "end of DATA"
)

// Fault is something that goes wrong.
type Fault struct {
	At At
	// Count is how often it strikes; 0: once; negative: until ClearFaults.
	Count int
	// Code and Text are answered; 0: what would be answered without the fault.
	Code int
	Text string
	// Delay before the answer. A mail that is taken is in its mailbox before it.
	Delay time.Duration
	// Drop closes the connection instead of answering.
	Drop bool
	// Accept keeps the mail all the same: with Drop at AtEnd, the client cannot
	// know it.
	Accept bool
}

// Fault makes something go wrong from now on. Faults of one place strike in the
// order in which they were added.
func (s *Server) Fault(f Fault) {
	if f.Count == 0 {
		f.Count = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// ClearFaults ends all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault takes the next fault of a place, or nil.
func (s *Server) fault(at At) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, f := range s.faults {
		if f.At != at {
			continue
		}
		if f.Count > 0 {
			if f.Count--; f.Count == 0 {
				s.faults = append(s.faults[:n:n], s.faults[n+1:]...)
			}
		}
		struck := *f
		return &struck
	}
	return nil
}

// answer is the fault's answer; nil where it has none.
func (f *Fault) answer() error {
	if f.Code == 0 {
		return nil
	}
	text := f.Text
	if text == "" {
		text = "a fault, as asked for"
	}
	return &smtp.SMTPError{Code: f.Code, EnhancedCode: smtp.NoEnhancedCode, Message: text}
}
