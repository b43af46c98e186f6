package email

import (
	"bytes"
	_ "embed" // for the form of the mails
	"errors"
	"html/template"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/tocsin-oncall/tocsin"
)

// maxMail is the most bytes of a mail, its header included and encoded.
const maxMail = 64 << 10

//go:embed mail.html
var page string

// form is the text/html form. Its styles are inline and it has no images: mail
// programs drop the one and ask before they load the other.
var form = template.Must(template.New("mail").Parse(page))

// compose writes the mail as it goes over the wire. It depends on nothing but
// the notice and the configuration.
func (m *Notifier) compose(n *tocsin.Notice, t thread) ([]byte, error) {
	for _, e := range extents {
		v := look(n, t, m.c.Location, e)
		raw, err := m.write(n, t, v)
		if err != nil {
			return nil, err
		}
		if len(raw) <= maxMail {
			return raw, nil
		}
	}
	return nil, errors.New("it is too large without any details; shorten the title, or take some recipients out")
}

func (m *Notifier) write(n *tocsin.Notice, t thread, v *view) ([]byte, error) {
	var html strings.Builder
	if err := form.Execute(&html, v); err != nil {
		return nil, err
	}
	plain := v.plain()
	msg := gomail.NewMsg(
		gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(gomail.EncodingQP), gomail.WithNoDefaultUserAgent(),
		// Made of the texts, so that it is in none of them.
		gomail.WithBoundary("tocsin-"+tocsin.NewKey(t.id, plain, html.String()).String()),
	)
	msg.FromMailAddress(m.from)
	msg.ToMailAddress(m.to...)
	m.header(msg, n, t)
	msg.SetBodyString(gomail.TypeTextPlain, plain)
	msg.AddAlternativeString(gomail.TypeTextHTML, html.String())
	var raw bytes.Buffer
	if _, err := msg.WriteTo(&raw); err != nil {
		return nil, err
	}
	return raw.Bytes(), nil
}

func (m *Notifier) header(msg *gomail.Msg, n *tocsin.Notice, t thread) {
	msg.Subject(subject(n, t))
	msg.SetDateWithValue(n.Now.In(m.c.Location))
	msg.SetMessageIDWithValue(strings.Trim(t.id, "<>"))
	if !t.first {
		msg.SetGenHeader(gomail.HeaderInReplyTo, t.root)
		msg.SetGenHeader(gomail.HeaderReferences, t.root)
	}
	msg.SetGenHeader(gomail.HeaderUserAgent, "Tocsin")
	// Keeps absence notes and other programs from answering: RFC 3834, and
	// [MS-OXCMAIL] for Exchange.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	// For people's filters: RFC 2919. "list" and not "bulk", which some programs
	// put aside.
	msg.SetGenHeader("List-Id", "Tocsin <incidents.tocsin."+ascii(m.domain)+">")
	msg.SetGenHeader(gomail.HeaderPrecedence, "list")
	if n.Incident.Kind == tocsin.KindNotice {
		return
	}
	for name, value := range map[gomail.Header]string{
		"X-Tocsin-Incident": n.Incident.ID,
		"X-Tocsin-State":    string(n.Incident.State),
		"X-Tocsin-Severity": string(n.Incident.Severity),
	} {
		if value = literal(line(value, 40)); value != "" {
			msg.SetGenHeader(name, value)
		}
	}
	if n.Incident.Severity == tocsin.Critical && n.Incident.State == tocsin.Triggered {
		msg.SetGenHeader(gomail.HeaderImportance, "high")
		msg.SetGenHeader(gomail.HeaderPriority, "urgent")
		msg.SetGenHeader(gomail.HeaderXPriority, "1 (Highest)")
	}
}
