package slack

import "github.com/tocsin-oncall/tocsin"

// doubt is what is not known of an incident's posts.
type doubt struct {
	// attempt is the number of the last unclear attempt at the message; 0:
	// there was none here. Numbers, since two attempts may end at one time.
	attempt uint64
	// digest is the incident as an unclear attempt at a digest showed it; nil:
	// there was none here.
	digest *tocsin.Incident
	// thread is true until the thread was looked at.
	thread bool
}

// maxDoubts bounds the memory of unclear attempts. Above it the caller's
// MayBePosted alone counts.
const maxDoubts = 10_000

func (ch *Channel) doubtMessage(incident string) {
	ch.changeDoubt(incident, func(d *doubt) { d.attempt = ch.count() })
}

func (ch *Channel) doubtDigest(i *tocsin.Incident) {
	ch.changeDoubt(i.ID, func(d *doubt) { d.attempt, d.digest = ch.count(), i })
}

func (ch *Channel) doubtThread(incident string) {
	if ch.client.lookup {
		ch.changeDoubt(incident, func(d *doubt) { d.thread = true })
	}
}

func (ch *Channel) changeDoubt(incident string, fn func(*doubt)) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	d, ok := ch.doubts[incident]
	if !ok && len(ch.doubts) >= maxDoubts {
		return
	}
	fn(&d)
	ch.doubts[incident] = d
}

func (ch *Channel) threadDoubted(incident string) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.doubts[incident].thread
}

// count numbers an unclear attempt. The caller holds mu.
func (ch *Channel) count() uint64 {
	ch.attempts++
	return ch.attempts
}

// attempted is how many unclear attempts have ended.
func (ch *Channel) attempted() uint64 {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.attempts
}

// doubted is the number of the last unclear attempt at the message.
func (ch *Channel) doubted(incident string) uint64 {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.doubts[incident].attempt
}

// settleThread ends the doubt about a thread.
func (ch *Channel) settleThread(incident string) {
	ch.changeDoubt(incident, func(d *doubt) { d.thread = false })
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.doubts[incident] == (doubt{}) {
		delete(ch.doubts, incident)
	}
}

// forget ends all doubts: what is shown now was posted by us, with an answer.
func (ch *Channel) forget(incident string) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	delete(ch.doubts, incident)
}
