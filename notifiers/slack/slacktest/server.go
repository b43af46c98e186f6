package slacktest

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The identity that every accepted token stands for.
const (
	TeamID    = "T0TOCSIN01"
	BotID     = "B0TOCSIN01"
	BotUserID = "U0TOCSIN01"
	BotName   = "tocsin"

	appID = "A0TOCSIN01"
)

// Limits of the memory that a Server uses unless an option says otherwise.
const (
	DefaultMaxMessages = 20_000
	DefaultRequestLog  = 20_000
)

// maxBody bounds a request's body; Slack's own bound is not documented.
const maxBody = 4 << 20

// Server emulates one Slack workspace with one bot in it. Make it with New. It
// is safe for concurrent use.
type Server struct {
	autoCreate  bool
	maxMessages int
	logSize     int
	patience    time.Duration
	routes      map[string]route

	faults  faults
	limiter limiter
	sockets Sockets
	closed  chan struct{}
	closing sync.Once

	mu       sync.Mutex
	tokens   map[string]*token // nil: any token is accepted
	revoked  map[string]bool
	channels map[string]*channel // by ID
	byName   map[string]*channel
	users    map[string]*User
	groups   map[string]*UserGroup
	views    map[string]*view // home tabs and modals by view ID
	modals   []*view          // as they were opened
	// What people do, and what is handed out for it.
	callbacks  Callbacks
	triggers   map[string]*trigger
	responses  map[string]*response // by path
	ephemerals []Ephemeral
	later      map[string]scheduled // by ID
	files      files
	boxes      map[boxView][]string // what is ticked before whom, by value
	lastTS     int64                // microseconds
	nextID     uint64
	calls      map[string]int
	log        ring[Request]

	watch watch
}

// Option changes what New makes.
type Option func(*Server)

// WithAutoCreate creates a public channel, with the bot in it, when a message
// is posted to a name that does not exist.
func WithAutoCreate() Option { return func(s *Server) { s.autoCreate = true } }

// WithToken makes the server accept only the tokens given this way, each with
// its OAuth scopes; no scopes: all of them but chat:write.public. Without this option any non-empty
// token is accepted, with all scopes.
func WithToken(name string, scopes ...string) Option {
	return func(s *Server) { s.AddToken(name, scopes...) }
}

// WithRateLimit limits chat.postMessage and chat.postEphemeral to perSecond in
// each channel with the given burst, as Slack does with about 1
// (https://docs.slack.dev/apis/web-api/rate-limits). 0 or less: no limit, the
// default.
func WithRateLimit(perSecond float64, burst int) Option {
	return func(s *Server) { s.limiter.posts = rate{perSecond, burst} }
}

// WithMethodLimit limits one method over all channels to n calls per period,
// as Slack's tiers do (tier 3: 50 a minute).
func WithMethodLimit(method string, n int, period time.Duration) Option {
	return func(s *Server) {
		s.limiter.methods[method] = rate{float64(n) / period.Seconds(), n}
	}
}

// WithMaxMessages bounds the messages kept in each channel, replies included;
// the oldest go first. 0 or less: DefaultMaxMessages.
func WithMaxMessages(n int) Option {
	return func(s *Server) {
		if n > 0 {
			s.maxMessages = n
		}
	}
}

// WithRequestLog bounds the requests that Requests remembers; 0: none.
func WithRequestLog(n int) Option { return func(s *Server) { s.logSize = n } }

// WithPatience is how long the workspace waits for the answer to a callback, and how
// long a trigger opens a window, instead of Slack's 3 seconds: for tests about
// something else, on machines whose load they do not rule.
func WithPatience(d time.Duration) Option { return func(s *Server) { s.patience = d } }

// WithSeed fixes the randomness of faults with a Rate, so that a test can be
// repeated. The default seed is 1.
func WithSeed(seed uint64) Option {
	return func(s *Server) { s.faults.rand = rand.New(rand.NewPCG(seed, 0)) }
}

// New returns a workspace with one user, the bot, and no channels.
func New(opts ...Option) *Server {
	s := &Server{
		maxMessages: DefaultMaxMessages,
		logSize:     DefaultRequestLog,
		patience:    answerWithin,
		closed:      make(chan struct{}),
		revoked:     map[string]bool{},
		channels:    map[string]*channel{},
		byName:      map[string]*channel{},
		users:       map[string]*User{BotUserID: {ID: BotUserID, Name: BotName, RealName: "Tocsin", Bot: true}},
		groups:      map[string]*UserGroup{},
		views:       map[string]*view{},
		triggers:    map[string]*trigger{},
		responses:   map[string]*response{},
		calls:       map[string]int{},
	}
	s.faults.rand = rand.New(rand.NewPCG(1, 0))
	s.limiter.methods = map[string]rate{}
	s.watch.changed = make(chan struct{})
	s.sockets.init(s)
	for _, o := range opts {
		o(s)
	}
	s.routes = s.methods()
	return s
}

// Close lets go of every request that a fault holds back, ends the event streams
// of the page and the connections of Socket Mode. The server answers on.
func (s *Server) Close() { s.closing.Do(func() { close(s.closed) }) }

// ServeHTTP answers the Web API below /api/, messages to a response_url, files that
// are uploaded, connections of Socket Mode, the page at / and what the page needs.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if method, ok := strings.CutPrefix(r.URL.Path, "/api/"); ok {
		s.serveAPI(w, r, method)
		return
	}
	if r.URL.Path == linkPath {
		s.sockets.serve(w, r)
		return
	}
	if isResponse(r.URL.Path) {
		s.serveResponse(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, uploadPath) {
		s.serveUpload(w, r)
		return
	}
	s.servePage(w, r)
}

// serveAPI answers one call of the Web API.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request, method string) {
	c, bad := readCall(w, r, method)
	entry := Request{
		At: time.Now(), Method: method, Channel: c.arg("channel"), TS: c.arg("ts"),
		ThreadTS: c.arg("thread_ts"), Users: c.arg("users"), UserGroup: c.arg("usergroup"), ContentType: c.contentType,
	}
	f := s.faults.take(c, entry.At)
	ans := s.answer(r.Context(), c, f, bad)
	entry.Status, entry.Error = ans.status, ans.code
	if f != nil && (f.BlackHole || f.DropAfter) {
		entry.Status = 0
	}
	s.record(entry)
	if entry.Status == 0 {
		if f.BlackHole {
			wait(r.Context(), s.closed, nil)
		}
		// The documented way to cut a connection without an answer.
		panic(http.ErrAbortHandler)
	}
	s.tellScopes(w, c.token)
	ans.write(w)
}

// answer decides what the call gets: what a fault says, a rate limit, or the
// method's own answer.
func (s *Server) answer(ctx context.Context, c *call, f *Fault, bad string) answer {
	if f != nil {
		if f.Delay > 0 {
			t := time.NewTimer(f.Delay)
			defer t.Stop()
			wait(ctx, s.closed, t.C)
		}
		if ans, ok := f.answer(); ok {
			return ans
		}
	}
	rt, ok := s.routes[c.method]
	if !ok {
		return failed("unknown_method")
	}
	if bad != "" {
		return failed(bad)
	}
	if code, needed, provided := s.authorize(c.token, rt.scopes); code != "" {
		return denied(code, needed, provided)
	}
	if after, ok := s.limiter.allow(c, s.channelKey(c.arg("channel")), time.Now()); !ok {
		return rateLimited(after)
	}
	return rt.handle(c)
}

// wait returns when ctx ends, the server is closed, or c fires.
func wait(ctx context.Context, closed <-chan struct{}, c <-chan time.Time) {
	select {
	case <-ctx.Done():
	case <-closed:
	case <-c:
	}
}

// route is a method of the Web API: what it does, and the scopes of which it
// needs any one.
type route struct {
	scopes []string
	handle func(*call) answer
}

func (s *Server) methods() map[string]route {
	out := map[string]route{
		"api.test":                     {nil, s.apiTest},
		"auth.test":                    {nil, s.authTest},
		"chat.postMessage":             {[]string{"chat:write"}, s.postMessage},
		"chat.postEphemeral":           {[]string{"chat:write"}, s.postEphemeral},
		"chat.update":                  {[]string{"chat:write"}, s.update},
		"chat.scheduleMessage":         {[]string{"chat:write"}, s.schedule},
		"chat.deleteScheduledMessage":  {[]string{"chat:write"}, s.unschedule},
		"chat.delete":                  {[]string{"chat:write"}, s.deleteMessage},
		"conversations.history":        {historyScopes, s.history},
		"conversations.replies":        {historyScopes, s.replies},
		"conversations.info":           {channelScopes, s.conversationInfo},
		"conversations.list":           {channelScopes, s.conversationList},
		"conversations.join":           {[]string{"channels:join"}, s.conversationJoin},
		"conversations.open":           {[]string{"im:write"}, s.conversationOpen},
		"users.info":                   {[]string{"users:read"}, s.userInfo},
		"users.lookupByEmail":          {[]string{"users:read.email"}, s.userByEmail},
		"usergroups.list":              {[]string{"usergroups:read"}, s.userGroupList},
		"usergroups.users.list":        {[]string{"usergroups:read"}, s.userGroupUsers},
		"usergroups.users.update":      {[]string{"usergroups:write"}, s.userGroupUpdate},
		"views.open":                   {nil, s.viewOpen},
		"views.publish":                {nil, s.viewPublish},
		"views.update":                 {nil, s.viewUpdate},
		"reactions.add":                {[]string{"reactions:write"}, s.reactionAdd},
		"apps.connections.open":        {nil, s.connectionOpen},
		"files.getUploadURLExternal":   {[]string{"files:write"}, s.fileAsk},
		"files.completeUploadExternal": {[]string{"files:write"}, s.fileShare},
	}
	maps.Copy(out, s.roomMethods())
	return out
}
