package storage

import "github.com/tocsin-oncall/tocsin"

// Store keeps incidents, their alerts and timelines, silences and documents. All of its
// methods may be called by many goroutines at once.
//
// Beyond what tocsin.Updater, tocsin.Tx and tocsin.Reader say:
//
//   - PutIncident of an archived incident writes it where it is: it stays
//     archived. A receipt that comes late does not bring an incident back.
//   - Archive of an incident that is not resolved, PutIncident of a second live
//     incident for a group, PutAlert for an incident that is not live, with a
//     Seq of 0 or above Incident.Alerts or one that another alert of the
//     incident has, and the first PutAlert of an alert of an incident without
//     its text fail the whole Update with an error that satisfies
//     errors.Is(err, tocsin.ErrInvalid). They are judged when the function
//     returns, so the order of its writes does not matter.
//   - Archive of an incident that is archived, or that does not exist, and
//     Forget of an alert that a live incident holds do nothing. So does Observed
//     of an alert that is not known; of one that is, it notes SeenAt and Repeats
//     and nothing else.
//   - Events may name an incident that is archived, or none (""); those of no
//     incident are in no timeline.
//   - List orders by OpenedAt, the newest first, then by ID. A limit of 0 or
//     less is 100 for AlertsOf and Timeline too.
//   - PutDocument with a kind or an ID that tocsin.Documents does not allow, or
//     with a value that is not JSON, fails the Update with tocsin.ErrInvalid. One
//     that writes what is there already changes nothing, the version neither.
//     DeleteDocument of what does not exist does nothing.
//   - AlertsOf and Timeline of an incident that does not exist are ErrNotFound.
type Store interface {
	tocsin.Updater
	tocsin.Reader
	// Close refuses further updates, finishes those that were accepted, and
	// releases the store. Calling it again does nothing and returns nil.
	Close() error
}
