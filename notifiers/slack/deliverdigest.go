package slack

import (
	"context"

	"github.com/tocsin-oncall/tocsin"
)

// DeliverDigest shows many incidents in one message: it updates the one at
// Ref, or posts one where Ref is empty or its message is gone. Errors are those
// of Deliver. It is one call that posts or updates, and a second one only where
// Slack refuses the message's metadata.
//
// Before a digest is posted that may have been posted already
// (DigestNotice.MayBePosted), the channel is searched for one that names any of
// the incidents when Config.Lookup is set; it is updated instead, and goes on to
// tell of the others that it names.
func (ch *Channel) DeliverDigest(ctx context.Context, n tocsin.DigestNotice) (tocsin.Receipt, error) {
	ref, note := n.Ref, ""
	if ch.knownID() == "" {
		ch.learn(ref)
	}
	if ref == "" && n.MayBePosted && ch.client.lookup {
		var err error
		if ref, note, err = ch.findDigest(ctx, &n); err != nil {
			return tocsin.Receipt{}, err
		}
	}
	asked := n.Incidents
	if ref != "" {
		n.Incidents = ch.withCarried(ref, asked)
		_, err := ch.sendDigest(ctx, methodUpdate, &n, placeOf(ref))
		switch {
		case err == nil:
			ch.settle(ref, asked...)
			r := tocsin.Receipt{Ref: ref, Digest: true}
			if n.Ref == "" {
				r.Text = "found in a digest in " + ch.label()
			}
			return r, nil
		case !messageGone(err):
			return tocsin.Receipt{}, err
		}
		note = "the earlier digest could not be updated: " + codeOf(err)
	}
	if err := ch.reach(ctx); err != nil {
		return tocsin.Receipt{}, err
	}
	posted, err := ch.sendDigest(ctx, methodPost, &n, place{channel: ch.name})
	if err != nil {
		if tocsin.IsUnclear(err) {
			for _, i := range n.Incidents {
				ch.doubtDigest(i)
			}
		}
		return tocsin.Receipt{}, err
	}
	ch.settle(posted, asked...)
	return tocsin.Receipt{Ref: posted, Digest: true, Text: sentence("told in a digest in "+ch.label(), note)}, nil
}

// sendDigest posts or updates. How much metadata a message may bear is not
// documented: a digest that cannot be looked up is better than none.
func (ch *Channel) sendDigest(ctx context.Context, method string, n *tocsin.DigestNotice, at place) (string, error) {
	f, err := digestMessage(n, at)
	if err != nil {
		return "", tocsin.Permanent(err)
	}
	ref, err := ch.call(ctx, method, &f)
	if metadataRefused(err) {
		if encErr := f.withoutIncidents(n); encErr != nil {
			return "", err
		}
		ref, err = ch.call(ctx, method, &f)
	}
	return ref, err
}
