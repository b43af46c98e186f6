package slack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
	"github.com/tocsin-oncall/tocsin/test/leak"
)

// papers is a store of incidents and documents in memory.
type papers struct {
	mu        sync.Mutex
	incidents map[string]tocsin.Incident
	docs      map[string][]byte
	down      bool
}

// papersTx is a transaction on papers, which are locked meanwhile.
type papersTx struct {
	tocsin.Tx // what is not overridden is not used
	p         *papers
}

func (tx papersTx) Incident(id string) *tocsin.Incident {
	if i, ok := tx.p.incidents[id]; ok {
		return &i
	}
	return nil
}

func (tx papersTx) Document(_, id string) []byte           { return tx.p.docs[id] }
func (tx papersTx) PutDocument(_, id string, value []byte) { tx.p.docs[id] = value }
func (tx papersTx) DeleteDocument(_, id string)            { delete(tx.p.docs, id) }

func (p *papers) Update(_ context.Context, fn func(tocsin.Tx) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return tocsin.Unavailable(errors.New("the disk is full"))
	}
	return fn(papersTx{p: p})
}

func (p *papers) Get(_ context.Context, id string) (*tocsin.Incident, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, ok := p.incidents[id]; ok {
		return &i, nil
	}
	return nil, tocsin.ErrNotFound
}

func (p *papers) Documents(context.Context, string) (docs []tocsin.Document, version uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(p.docs)) {
		docs = append(docs, tocsin.Document{ID: id, Value: p.docs[id]})
	}
	return docs, 0, nil
}

func (p *papers) put(i *tocsin.Incident) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.incidents[i.ID] = *i
}

func (p *papers) fail(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// kept are the documents, by incident.
func (p *papers) kept() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]string{}
	for id, value := range p.docs {
		out[id] = string(value)
	}
	return out
}

// drawing is what the graphs are drawn with.
type drawing struct {
	mu    sync.Mutex
	asked []string
	err   error
	hangs bool
}

func (d *drawing) draw(ctx context.Context, id string) (slack.Picture, error) {
	d.mu.Lock()
	d.asked = append(d.asked, id)
	err, hangs := d.err, d.hangs
	d.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return slack.Picture{}, ctx.Err()
	}
	return slack.Picture{PNG: []byte("\x89PNG\r\n\x1a\n"), Title: "up == <0>", Alt: "The last hour of up == 0"}, err
}

func (d *drawing) set(err error, hangs bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err, d.hangs = err, hangs
}

func (d *drawing) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.asked)
}

// gallery is a workspace with graphs, in a bubble.
type gallery struct {
	*testing.T
	slack  *slacktest.Server
	store  *papers
	drawn  *drawing
	log    *bytes.Buffer
	client *slack.Client
	graphs *slack.Graphs
}

func inGallery(t *testing.T, do func(*gallery), opts ...slacktest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &gallery{T: t, slack: slacktest.New(append([]slacktest.Option{slacktest.WithAutoCreate()}, opts...)...), store: &papers{incidents: map[string]tocsin.Incident{}, docs: map[string][]byte{}}, drawn: &drawing{}, log: &bytes.Buffer{}}
		t.Cleanup(w.slack.Close)
		ctx, stop := context.WithCancel(t.Context())
		w.start(ctx)
		do(w)
		stop()
		synctest.Wait()
	})
}

// start begins a process.
func (w *gallery) start(ctx context.Context) {
	w.client = slack.New(slack.Config{Token: "xoxb-canary", APIURL: slacktest.URL, HTTPClient: w.slack.Client()})
	w.graphs = slack.NewGraphs(slack.GraphsConfig{Store: w.store, Draw: w.drawn.draw, Logger: slog.New(slog.NewTextHandler(leak.Log(w, w.log), nil))})
	w.client.OnShown(w.graphs.Shown)
	go func() { assert.NoError(w, w.graphs.Run(ctx)) }()
}

// page delivers a notice to #incidents as it is, and waits for what comes of it.
func (w *gallery) page(n *tocsin.Notice) {
	w.Helper()
	w.store.put(n.Incident)
	deliver(w, w.client.Channel("#incidents"), n)
	synctest.Wait()
}

// pictures of the threads of #incidents.
func (w *gallery) pictures() (out []slacktest.File) {
	for _, m := range w.slack.Messages("incidents") {
		for _, r := range m.Replies {
			out = append(out, r.Files...)
		}
	}
	return out
}

func changed(n *tocsin.Notice) *tocsin.Notice {
	n.Incident.Revision++
	return n
}

func TestAGraphForEachOpening(t *testing.T) {
	t.Parallel()
	inGallery(t, func(w *gallery) {
		n := notice(incident())
		w.page(&n)
		list := w.pictures()
		require.Len(w, list, 1)
		assert.Equal(w, "up == <0>", list[0].Title)
		assert.Equal(w, "The last hour of up == 0", list[0].Alt)
		for range 3 {
			time.Sleep(2 * time.Minute)
			w.page(changed(&n))
		}
		assert.Len(w, w.pictures(), 1, "an update brings no other one")
		assert.Equal(w, 1, w.drawn.count(), "nor is it drawn")

		n.Incident.State, n.Incident.Firing = tocsin.Resolved, 0
		w.page(changed(&n))
		assert.Len(w, w.store.kept(), 1)
		require.NoError(w, w.graphs.Tidy(w.Context()))
		assert.Empty(w, w.store.kept(), "what is known of it goes with the incident")
		n.Incident.State, n.Incident.Firing, n.Incident.Reopened = tocsin.Triggered, 1, 1
		w.page(changed(&n))
		assert.Len(w, w.pictures(), 2, "it opened again")
		require.NoError(w, w.graphs.Tidy(w.Context()))
		assert.Len(w, w.store.kept(), 1)

		n.Delivery.Target = "slack:#other" // another place has its own
		n.Delivery.Ref, n.Delivery.Revision = "", 0
		w.store.put(n.Incident)
		deliver(w, w.client.Channel("#other"), &n)
		synctest.Wait()
		assert.Len(w, w.slack.Messages("other")[0].Replies, 1)
		assert.JSONEq(w, `{"opening":1,"targets":["slack:#incidents","slack:#other"]}`, w.store.kept()["k7f3q9"])
	})
}

// A process that has ended after the graph was written down does not show it again.
func TestAGraphIsShownAtMostOnce(t *testing.T) {
	t.Parallel()
	inGallery(t, func(w *gallery) {
		w.slack.Fault(slacktest.Fault{Method: "files.completeUploadExternal", DropAfter: true, Count: 1})
		n := notice(incident())
		w.page(&n)
		require.Len(w, w.pictures(), 1, "it is there, and nobody was told")
		ctx, stop := context.WithCancel(w.Context())
		w.start(ctx)
		time.Sleep(2 * time.Minute)
		w.page(changed(&n))
		assert.Len(w, w.pictures(), 1)
		stop()
		synctest.Wait()
	})
}

func TestTheMessageNeverWaitsForItsGraph(t *testing.T) {
	t.Parallel()
	inGallery(t, func(w *gallery) {
		w.drawn.set(nil, true)
		n, begun := notice(incident()), time.Now()
		w.store.put(n.Incident)
		for range 5 {
			deliver(w, w.client.Channel("#incidents"), changed(&n))
		}
		assert.Zero(w, time.Since(begun))
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Empty(w, w.pictures())
		assert.Equal(w, 1, w.drawn.count(), "not with each update")
		assert.Equal(w, 1, strings.Count(w.log.String(), "could not be put into Slack's thread"))
		w.drawn.set(nil, false)
		w.page(changed(&n))
		assert.Len(w, w.pictures(), 1, "the next update brings what failed before it was shown")
	})
}

func TestAnAppWithoutTheScopeIsSaidOnce(t *testing.T) {
	t.Parallel()
	inGallery(t, func(w *gallery) {
		for k := range 40 {
			i := incident()
			i.ID = fmt.Sprintf("k%d", k)
			n := notice(i)
			w.page(&n)
			time.Sleep(10 * time.Minute)
		}
		assert.Len(w, w.slack.Messages("incidents"), 40)
		assert.Less(w, w.slack.Calls("files.getUploadURLExternal"), 20)
		assert.Equal(w, 1, strings.Count(w.log.String(), "missing_scope"), w.log)
		assert.Contains(w, w.log.String(), "install it again")
	}, slacktest.WithToken("xoxb-canary", "chat:write"))
}

func TestAStormGetsFewGraphs(t *testing.T) {
	t.Parallel()
	inGallery(t, func(w *gallery) {
		for k := range 200 {
			i := incident()
			i.ID = fmt.Sprintf("k%d", k)
			n := notice(i)
			w.store.put(i)
			deliver(w, w.client.Channel("#incidents"), &n)
		}
		synctest.Wait()
		assert.Len(w, w.slack.Messages("incidents"), 200)
		assert.InDelta(w, 10, len(w.pictures()), 1)
		assert.Equal(w, 1, strings.Count(w.log.String(), "left out"), "said, and not for each")
	})
}

func TestWhatGetsNoGraph(t *testing.T) {
	t.Parallel()
	inGallery(t, func(w *gallery) {
		n := notice(incident())
		n.Alerts[0].GeneratorURL = ""
		w.page(&n)
		n = notice(incident())
		n.Incident.State, n.Incident.Firing = tocsin.Resolved, 0
		w.page(&n)
		assert.Zero(w, w.drawn.count())

		w.drawn.set(tocsin.ErrNotFound, false)
		n = notice(incident())
		w.page(&n)
		assert.Equal(w, 1, w.drawn.count())
		w.drawn.set(errors.New("Prometheus is away"), false)
		time.Sleep(2 * time.Minute)
		w.page(changed(&n))
		w.drawn.set(nil, false)
		w.store.fail(true)
		time.Sleep(2 * time.Minute)
		w.page(changed(&n))
		w.store.fail(false)
		w.slack.Fault(slacktest.Fault{Method: slacktest.MethodUpload, Status: 503, Count: 1})
		time.Sleep(2 * time.Minute)
		w.page(changed(&n))
		w.slack.Fault(slacktest.Fault{Method: "files.getUploadURLExternal", Status: 429, RetryAfter: slacktest.Seconds(300), Count: 1})
		time.Sleep(2 * time.Minute)
		w.page(changed(&n))
		time.Sleep(2 * time.Minute)
		w.page(changed(&n))
		assert.Equal(w, 5, w.drawn.count(), "Slack asked for patience")
		assert.Empty(w, w.pictures())
		time.Sleep(5 * time.Minute)
		w.page(changed(&n))
		assert.Len(w, w.pictures(), 1)
		assert.NotContains(w, w.log.String(), "xoxb-canary")
	})
}

func TestAFileNeedsTheBotInTheChannel(t *testing.T) {
	t.Parallel()
	inGallery(t, func(w *gallery) {
		w.slack.AddChannel("incidents")
		w.slack.SetMember("incidents", false)
		n := notice(incident())
		w.page(&n)
		assert.Len(w, w.slack.Messages("incidents"), 1)
		assert.Empty(w, w.pictures())
		assert.Contains(w, w.log.String(), "/invite @tocsin")
	}, slacktest.WithToken("xoxb-canary", "chat:write", "chat:write.public", "files:write"))
}
