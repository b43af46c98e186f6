package slack

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/tocsin-oncall/tocsin"
)

// maxNamed is the most incidents that a digest names, in its text and in its
// metadata.
const maxNamed = 100

// digestDetails are tried in order until the message fits: how many incidents
// are named, and how much of their titles.
var digestDetails = []struct{ lines, title int }{{maxNamed, 60}, {maxNamed, 36}, {80, 24}, {40, 24}, {20, 16}}

// digestMessage encodes the message about many incidents at the place.
func digestMessage(n *tocsin.DigestNotice, at place) (form, error) {
	var f form
	for _, d := range digestDetails {
		m := message{
			place: at, text: string(append(digestMentions(n), digestTitle(n)...)), blocks: digestBlocks(n, d.lines, d.title),
			attachments: footer(digestColour(n), []byte("one message for all of these: list them with `tocsin incidents`, acknowledge with `tocsin ack ID`")),
			metadata: metadata{EventType: eventDigest, Payload: payload{
				Digest: digestID(n), Target: n.Target, Incidents: namedOf(n.Incidents),
			}},
		}
		var err error
		if f, err = m.encode(); err != nil {
			return f, err
		}
		if f.fits() {
			break
		}
	}
	return f, nil
}

// withoutIncidents leaves out of a digest's metadata what a look-up would find
// it by.
func (f *form) withoutIncidents(n *tocsin.DigestNotice) error {
	text, err := json.Marshal(&metadata{EventType: eventDigest, Payload: payload{Digest: digestID(n), Target: n.Target}})
	f.metadata = string(text)
	return err
}

// digestID names a digest by what it told first.
func digestID(n *tocsin.DigestNotice) string {
	parts := make([]string, 0, len(n.Incidents)+1)
	for _, i := range n.Incidents {
		parts = append(parts, i.ID)
	}
	return tocsin.NewKey(append(parts, strconv.FormatInt(n.Now.UnixNano(), 10))...).String()
}

// digestCounts counts the incidents that are triggered, acknowledged, resolved.
func digestCounts(n *tocsin.DigestNotice) (triggered, acked, resolved int) {
	for _, i := range n.Incidents {
		switch i.State {
		case tocsin.Resolved:
			resolved++
		case tocsin.Acknowledged:
			acked++
		default:
			triggered++
		}
	}
	return triggered, acked, resolved
}

func digestTitle(n *tocsin.DigestNotice) string {
	return strconv.Itoa(len(n.Incidents)) + " " + plural(uint64(len(n.Incidents)), "incident") + ": " + digestSummary(n)
}

func digestSummary(n *tocsin.DigestNotice) string {
	triggered, acked, resolved := digestCounts(n)
	parts := []string{strconv.Itoa(triggered) + " triggered"}
	if acked > 0 {
		parts = append(parts, strconv.Itoa(acked)+" acknowledged")
	}
	if resolved > 0 {
		parts = append(parts, strconv.Itoa(resolved)+" resolved")
	}
	return strings.Join(parts, ", ")
}

func digestColour(n *tocsin.DigestNotice) string {
	worst := &tocsin.Incident{State: tocsin.Resolved}
	for _, i := range n.Incidents {
		if i.Open() && (worst.State == tocsin.Resolved || i.Severity.Rank() > worst.Severity.Rank()) {
			worst = i
		}
	}
	v := view{Notice: &tocsin.Notice{Incident: worst}}
	return v.colour()
}

func digestBlocks(n *tocsin.DigestNotice, lines, width int) []block {
	var b builder
	b.header("🚨 " + digestTitle(n))
	if mentions := digestMentions(n); len(mentions) > 0 {
		b.line(mentions)
	}
	line := make([]byte, 0, 256)
	for k, i := range n.Incidents {
		if k == lines {
			b.line([]byte("… and " + strconv.Itoa(len(n.Incidents)-lines) + " more"))
			break
		}
		b.line(appendIncident(line, i, width))
	}
	b.flush()
	return b.blocks
}

// maxMentions is the most different mentions that a digest makes.
const maxMentions = 3

// digestMentions mentions whom the incidents call that the digest is to call
// for.
func digestMentions(n *tocsin.DigestNotice) []byte {
	var b []byte
	var made []string
	for _, i := range n.Incidents {
		d := i.Delivery(n.Target)
		if d == nil || d.Calls <= d.Called || i.State != tocsin.Triggered || i.Quiet() ||
			len(made) == maxMentions || slices.Contains(made, d.Mention) {
			continue
		}
		made = append(made, d.Mention)
		b = appendMention(b, d.Mention)
	}
	return b
}

// appendIncident writes one incident's line; a resolved one is struck through.
func appendIncident(b []byte, i *tocsin.Incident, width int) []byte {
	b = append(b, emoji(i)+" "...)
	b = appendCode(b, i.ID, 20)
	b = append(b, ' ')
	switch {
	case i.State == tocsin.Resolved:
		b = append(b, '~')
		b = appendText(b, title(i), width, prose)
		return append(b, '~')
	case i.State != tocsin.Triggered || i.Quiet():
		b = append(b, strings.ToLower(stateWord(i))+": "...)
	}
	return appendText(b, title(i), width, prose)
}
