package callback

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/notifiers/slack"
)

// Config is what a Handler verifies with.
type Config struct {
	// SigningSecret of the Slack app. Empty: everything is refused.
	SigningSecret string
	// Team returns the ID of the workspace (T…) whose callbacks are taken. Nil, or
	// while it returns "": those of any workspace that the secret signs for. It is
	// called with each request and must not block.
	Team func() string
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger is for what is refused and what fails; nil: none.
	Logger *slog.Logger
	// Registerer gets the metrics; nil: nobody sees them.
	Registerer prometheus.Registerer
}

// Actions are what people do to incidents.
type Actions interface {
	// Act does a to the incident, once for each a.ID, and returns when it is
	// durable. Its errors satisfy errors.Is with tocsin.ErrNotFound,
	// tocsin.ErrConflict or tocsin.ErrInvalid where these apply; the text of the
	// latter two is shown to the person. Any other means "not now".
	Act(ctx context.Context, id string, a tocsin.Action) error
}

// Silencer keeps silences.
type Silencer interface {
	// PutSilence makes a silence, gives it an ID, and returns it as it was kept. An
	// error that satisfies errors.Is(err, tocsin.ErrInvalid) is shown to the person.
	PutSilence(ctx context.Context, s tocsin.Silence) (tocsin.Silence, error)
}

// Slack says things to one person.
type Slack interface {
	// Respond answers by a callback's response_url.
	Respond(ctx context.Context, responseURL string, r slack.Reply) error
	// Tell posts what only the user sees into a channel, both by ID.
	Tell(ctx context.Context, channel, user string, r slack.Reply) error
	// Open shows a modal to the person whose click gave the trigger.
	Open(ctx context.Context, trigger string, m slack.Modal) error
}

// Commander does what people type: behind the slash command, to a mention, in the
// direct messages.
type Commander interface {
	// Run does what was said and returns what there is to say, once for each
	// said.ID. An error means "not now": the same again later may succeed. ctx ends
	// after 2.5 s; what takes longer is said later.
	Run(ctx context.Context, said slack.Said) (slack.Reply, error)
}

// Deps are what a Handler stands on. Actions, Reader, Slack and Who are required.
type Deps struct {
	Actions Actions
	Reader  tocsin.Reader
	Slack   Slack
	// Who returns the name of the user with a Slack ID.
	Who func(slackID string) (name string, ok bool)
	// Person returns what a user may do. Nil: everybody may do everything.
	Person func(name string) tocsin.Principal
	// Zone returns the time zone of a user. Nil: UTC for everybody.
	Zone func(name string) *time.Location
	// Silencer makes silences. Nil: the menu says that there are none.
	Silencer Silencer
	// Runbook returns the runbook of an ID with its placeholders filled from an
	// alert's labels, or nil. Nil: there is none.
	Runbook func(id string, labels tocsin.Labels) *tocsin.Runbook
	// Why says why an incident called a user, or did not, in lines of a slack.Reply.
	// Nil: it is not known.
	Why func(ctx context.Context, inc *tocsin.Incident, who string) []string
	// Shifts returns the shifts of a query, as the API shows them. Nil: nobody sees
	// theirs.
	Shifts func(ctx context.Context, q tocsin.ShiftQuery) ([]tocsin.Shift, error)
	// Remedies are what people approve. Nil: there are none.
	Remedies Remedies
	// Commander runs commands. Nil: they are answered with "not available".
	Commander Commander
	// Post says something to everybody in a conversation, as slack.Client.Post does.
	// Nil: answers are for the person alone.
	Post func(ctx context.Context, channel string, r slack.Reply) error
	// Message reads one message, as slack.Client.Message does, when somebody marks it
	// with a pin. Nil: marked messages become no notes.
	Message func(ctx context.Context, channel, ts string) (slack.Found, error)
	// Publish shows a Home tab; see slack.Client.Publish. Nil: it stays empty.
	Publish func(ctx context.Context, slackID, hash string, v slack.Home) error
}

const (
	// maxBody is Slack's largest request with room to spare.
	maxBody = 1 << 20
	// actWithin bounds what is done before the answer; Slack waits 3 s.
	actWithin = 2500 * time.Millisecond
	// skew is how far a request's time may be from ours, both ways.
	skew = 5 * time.Minute
	// replayed is how long a request is known again: as long as its time may pass.
	replayed = 2 * skew
	// maxReplays bounds the requests that are known again: 160 a second.
	maxReplays = 100_000
	// doubleClick is how long the same click of the same person is one.
	doubleClick = 3 * time.Second
	maxClicks   = 10_000
	// modalLives is how long an answered modal is known to be.
	modalLives = time.Hour
	// planWithin bounds the making of a remedy's plan, with its precheck.
	planWithin = 10 * time.Second
	// eventRepeats is longer than Slack goes on sending an event.
	eventRepeats = 2 * time.Hour
)

// Handler takes the callbacks of one Slack app. Make it with New; it is safe for
// concurrent use. Close it after the server has stopped.
type Handler struct {
	cfg     Config
	d       Deps
	secret  []byte
	replays *memory[[macSize]byte]
	clicks  *memory[string]
	// answered are the modals that made a silence, by view.
	answered *memory[string]
	// heard are the events that were taken, by ID.
	heard *memory[string]
	// warned are the events about which somebody was told "not yet", by ID.
	warned *memory[string]
	// flights are the envelopes of Socket Mode.
	flights flights
	homes   homes
	// boxes are the groups of check boxes, by who ticks them and where.
	boxes   boxes
	log     quietLog
	metrics *metrics
	behind  *behind
}

// New returns a Handler.
func New(cfg Config, d Deps) *Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Person == nil {
		d.Person = func(name string) tocsin.Principal { return tocsin.Principal{Name: name, Role: tocsin.RoleAdmin} }
	}
	h := &Handler{
		cfg: cfg, d: d, secret: []byte(cfg.SigningSecret), metrics: newMetrics(cfg.Registerer),
		replays:  newMemory[[macSize]byte](replayed, maxReplays),
		clicks:   newMemory[string](doubleClick, maxClicks),
		answered: newMemory[string](modalLives, maxClicks),
		heard:    newMemory[string](eventRepeats, maxClicks),
		warned:   newMemory[string](eventRepeats, maxClicks),
		log:      quietLog{log: cfg.Logger},
	}
	h.homes.turns = map[string]*homeTurn{}
	h.behind = newBehind(h)
	return h
}

// Close waits until what is still to be said has been said, or ctx ends.
func (h *Handler) Close(ctx context.Context) error { return h.behind.close(ctx) }

// Interactions takes clicks and answers to modals.
func (h *Handler) Interactions() http.Handler { return h.door("interaction", form, h.interaction) }

// Commands takes slash commands.
func (h *Handler) Commands() http.Handler { return h.door("command", form, h.command) }

// Events takes the Events API: it proves to Slack whose URL it is, does what the
// events that it knows ask for, and acknowledges all else.
func (h *Handler) Events() http.Handler { return h.door("event", "application/json", h.eventOnce) }

const form = "application/x-www-form-urlencoded"

// answer is what a request gets, and what is to be done after it has.
type answer struct {
	// status 0: 200.
	status int
	// body is JSON, unless plain.
	body  []byte
	plain bool
	// outcome is for the metrics: one of few words.
	outcome string
	refusal *refusal
	after   func(ctx context.Context)
	// instead says what the body says, where the body is too long to be sent.
	instead func(ctx context.Context)
}

func (h *Handler) door(kind, contentType string, do func(context.Context, []byte) answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := h.cfg.Now()
		body, mac, bad := h.verified(w, r, contentType)
		a := answer{refusal: bad}
		if bad == nil {
			// Whether Slack still waits does not matter to what was asked for.
			a = do(context.WithoutCancel(r.Context()), body)
		}
		if a.refusal != nil {
			a.status, a.outcome = a.refusal.status, "refused"
			h.log.once(begun, a.refusal.cause).Warn("a Slack callback was refused", "kind", kind, "why", a.refusal.text)
		}
		if a.status >= http.StatusInternalServerError && bad == nil {
			h.replays.forget(mac)
		}
		a.write(w)
		h.metrics.callback(kind, a.outcome, h.cfg.Now().Sub(begun))
		if a.after != nil {
			h.behind.do(a.after)
		}
	})
}

func (a *answer) write(w http.ResponseWriter) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if len(a.body) > 0 {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if a.plain {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("X-Content-Type-Options", "nosniff")
		}
	}
	if a.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// ok is the empty answer that Slack wants.
func ok(outcome string) answer { return answer{outcome: outcome} }
