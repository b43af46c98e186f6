package smtptest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"time"
)

// Message is one mail that was accepted.
type Message struct {
	// From and To are the envelope's.
	From string
	To   []string
	// User who was logged in, TLS whether the connection was encrypted, Hello
	// the name that the client gave.
	User  string
	TLS   bool
	Hello string
	At    time.Time
	// Raw is the mail as it came, without SMTP's dots.
	Raw []byte
	// Header as it was read by net/mail, not decoded.
	Header mail.Header
	// ID is the Message-ID, Subject the decoded subject.
	ID, Subject string
	// Text and HTML are the two forms of the body, decoded, with line feeds
	// alone.
	Text, HTML string
	// Problem says why the mail could not be read; nil: it could.
	Problem error
}

// parse reads a mail with the standard library: as far as it can be read.
func parse(raw []byte) Message {
	m := Message{Raw: raw}
	read, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		m.Problem = err
		return m
	}
	m.Header, m.ID = read.Header, read.Header.Get("Message-Id")
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject")); err != nil {
		m.Problem = err
		return m
	}
	kind, params, err := mime.ParseMediaType(read.Header.Get("Content-Type"))
	if err != nil {
		m.Problem = err
		return m
	}
	if params["boundary"] == "" {
		m.Problem = m.take(kind, read.Header.Get("Content-Transfer-Encoding"), read.Body)
		return m
	}
	parts := multipart.NewReader(read.Body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m
		}
		if err == nil {
			var kind string
			if kind, _, err = mime.ParseMediaType(part.Header.Get("Content-Type")); err == nil {
				err = m.take(kind, part.Header.Get("Content-Transfer-Encoding"), part)
			}
		}
		if err != nil {
			m.Problem = err
			return m
		}
	}
}

func (m *Message) take(kind, encoding string, r io.Reader) error {
	if encoding == "quoted-printable" {
		r = quotedprintable.NewReader(r)
	}
	text, err := io.ReadAll(r)
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	switch kind {
	case "text/plain":
		m.Text = string(text)
	case "text/html":
		m.HTML = string(text)
	}
	return err
}
