package slack

import (
	"strconv"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// digestDetails are tried in order until the message fits: how many incidents
// are named, and how much of their titles.
var digestDetails = []struct{ lines, title int }{{100, 60}, {100, 36}, {80, 24}, {40, 24}, {20, 16}}

// digestMessage encodes the message about many incidents; fill addresses it.
func digestMessage(n *tocsin.DigestNotice, fill func(*message)) ([]byte, error) {
	var body []byte
	for _, d := range digestDetails {
		m := message{Text: digestTitle(n), Blocks: digestBlocks(n, d.lines, d.title),
			Attachments: footer(digestColour(n), []byte("one message for all of these: list them with `tocsin incidents`, acknowledge with `tocsin ack ID`")),
			Metadata:    &metadata{EventType: eventDigest, Payload: payload{Digest: digestID(n)}}}
		fill(&m)
		var err error
		if body, err = m.encode(); err != nil {
			return nil, err
		}
		if fits(body) {
			break
		}
	}
	return body, nil
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
