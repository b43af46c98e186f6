package router

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/tocsin-oncall/tocsin"
)

// maxKept is the size in bytes of the largest runbook that is kept as it was; the
// store holds all of them in memory.
const maxKept = 256 << 10

// pins holds one Progress for each version, which the incidents share until
// somebody touches a step: most never have more.
type pins struct {
	mu     sync.Mutex
	shared map[string]*tocsin.Progress
}

func (p *pins) of(version string) *tocsin.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared[version] == nil {
		if p.shared == nil {
			p.shared = map[string]*tocsin.Progress{}
		}
		p.shared[version] = &tocsin.Progress{Version: version}
	}
	return p.shared[version]
}

// pin notes the runbook that an incident opens with, and keeps it as it is now,
// unless the same text is kept already.
func (p *pins) pin(tx tocsin.Documents, runbooks RunbookFinder, inc *tocsin.Incident, a *tocsin.Alert) {
	rb := runbooks.Find(a)
	if rb == nil {
		return
	}
	inc.Runbook = rb.ID
	if version := keep(tx, rb, runbooks.Version(rb)); version != "" {
		inc.Progress = p.of(version)
	}
}

// keep returns the version that a runbook is kept as; "": it is not. What differs
// in its commit alone is kept once, under the first.
func keep(tx tocsin.Documents, rb *tocsin.Runbook, version string) string {
	if version == "" {
		return ""
	}
	docs, _ := tx.Documents(tocsin.RunbookVersions)
	content, _, _ := strings.Cut(version, "@")
	at, _ := slices.BinarySearchFunc(docs, content, func(d tocsin.Document, id string) int { return cmp.Compare(d.ID, id) })
	if at < len(docs) {
		if hash, _, _ := strings.Cut(docs[at].ID, "@"); hash == content {
			return docs[at].ID
		}
	}
	value, err := json.Marshal(rb)
	if err != nil || len(value) > maxKept {
		return ""
	}
	tx.PutDocument(tocsin.RunbookVersions, version, value)
	return version
}
