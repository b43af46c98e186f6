// Package config is the configuration as plain data: it loads the file, fills
// in defaults and secrets, and checks everything that can be checked without
// starting anything. Every problem is told with file, line and column, all of
// them at once, each with what to do about it.
//
// No other package imports config; cmd/tocsin turns the data into the parts.
// The names follow Alertmanager's
// (https://prometheus.io/docs/alerting/latest/configuration/).
//
// The comments of the fields, and their tags, are also the reference
// (Reference) and the schema for editors (Schema):
//
//	yaml     the key
//	default  what applies when the key is absent, as one would write it
//	example  a value to show, as one would write it
//	restart  a change takes effect at the next start only (RestartNeeded)
//	path     relative to the folder of the configuration file
//	or       cannot stand beside the keys before it; the word to say so with
package config

// Config is the whole configuration. Load and Parse return it complete: defaults
// filled in, secrets read, paths made relative to the working folder.
type Config struct {
	// Where Tocsin listens, and who may speak to it.
	Server Server `yaml:"server"`
	// Who may come in, and what they may do.
	Auth Auth `yaml:"auth"`
	// Where incidents are kept, for how long, and how much room they may take.
	Storage Storage `yaml:"storage"`
	// The message stream that carries wake-ups and incident events. Embedded
	// unless a URL is given.
	NATS NATS `yaml:"nats" restart:"true"`
	// Where the runbooks are.
	Runbooks Runbooks `yaml:"runbooks"`
	// How to speak to Slack. Needed when a receiver has slack_configs.
	Slack Slack `yaml:"slack"`
	// How to speak to PagerDuty: the Events API v2, and for who is on call there
	// the REST API.
	PagerDuty PagerDuty `yaml:"pagerduty"`
	// How to send mail. Needed when a receiver has email_configs or a person is
	// reached by email.
	SMTP SMTP `yaml:"smtp"`
	// When incidents reopen, flap and go stale.
	Incidents Incidents `yaml:"incidents"`
	// Who is told, on another channel, when a page cannot be delivered.
	Alarm Alarm `yaml:"alarm"`
	// The routing tree: which receivers hear of an alert, and which alerts
	// make one incident. The first route that matches takes the alert, unless
	// it says continue.
	Route Route `yaml:"route" jsonschema:"required"`
	// The places that routes send to.
	Receivers []Receiver `yaml:"receivers" jsonschema:"required"`
	// Which alerts make others not worth a page: while an alert fires that the
	// source matchers match, those that the target matchers match do not page,
	// if both have the same values in the equal labels.
	InhibitRules []InhibitRule `yaml:"inhibit_rules"`
	// Named times, for mute_time_intervals and active_time_intervals.
	TimeIntervals []TimeInterval `yaml:"time_intervals"`
	// The people who can be called, and how.
	Users []User `yaml:"users"`
	// Named groups of people.
	Teams []Team `yaml:"teams"`
	// Who is on call when. Overrides, swaps and time off are not configuration:
	// see tocsin override.
	Schedules []Schedule `yaml:"schedules"`
	// Calendars of people's absences. While one is away, the next layer of a
	// schedule that covers takes over.
	TimeOffCalendars []TimeOffCalendar `yaml:"time_off_calendars"`
	// What calendar feeds may be read.
	Calendars Calendars `yaml:"calendars"`
	// Who is called, in what order, until somebody answers. A receiver names one
	// in escalation_policy.
	EscalationPolicies []EscalationPolicy `yaml:"escalation_policies"`
	// Ways in for senders other than Alertmanager.
	Doors Doors `yaml:"doors"`
	// Signs of life that are expected, and missed when they do not come.
	Heartbeats []Heartbeat `yaml:"heartbeats"`
	// The Alertmanagers that send here, to be asked what fires there.
	Alertmanager Alertmanager `yaml:"alertmanager"`
	// Where the values behind the alerts can be asked for: for runbooks, and for
	// what remedies are checked by.
	Prometheus Prometheus `yaml:"prometheus" restart:"true"`
	// Where else the audit log is written.
	Audit Audit `yaml:"audit" restart:"true"`
	// The remedies: scripts that may be run for an alert, each under a contract.
	Remediations []Remediation `yaml:"remediations"`
	// What anybody may see, without a log-in, of how things stand, at /status and
	// /status.json. Off unless it lists components.
	StatusPage StatusPage `yaml:"status_page"`
	// Hidden is what no message, log or output may repeat: all secrets, and what
	// ${NAME} has put in; the longest first. Values of less than 6 bytes are not
	// among them: they would only make holes in what is shown.
	Hidden []Secret `yaml:"-" json:"-"`
}

// Server is the HTTP side.
type Server struct {
	// The address to serve on, host:port. Anything but a loopback address
	// needs intake tokens (or intake_basic_auth, or tls.client_ca_file), and
	// api_tokens, auth.oidc or auth.proxy; or auth.local: false.
	Listen string `yaml:"listen" default:"127.0.0.1:9911" example:"0.0.0.0:9911" restart:"true"`
	// How people reach Tocsin: the base of the links in messages.
	ExternalURL string `yaml:"external_url" defaultdoc:"from listen" example:"https://tocsin.example.com"`
	// Bearer tokens, any of which a sender such as Alertmanager may present.
	IntakeTokens []Secret `yaml:"intake_tokens" example:"['${INTAKE_TOKEN}']"`
	// File with the intake tokens, one a line. Empty lines and lines that
	// begin with # are skipped.
	IntakeTokensFile string `yaml:"intake_tokens_file" path:"true" example:"intake.tokens"`
	// A user name and password that senders may present instead of a token.
	IntakeBasicAuth *BasicAuth `yaml:"intake_basic_auth"`
	// Bearer tokens for the JSON API and the pages, as name:token,
	// name:role:token or token. The name is the actor on timelines; without one
	// it is "api". The role is viewer, responder, manager or admin; without one it
	// is admin. Better ones, which are kept as hashes only and expire, are made with
	// tocsin token create.
	APITokens []APIToken `yaml:"api_tokens" example:"['ana:${ANA_TOKEN}']"`
	// File with the API tokens, one a line.
	APITokensFile string `yaml:"api_tokens_file" path:"true" example:"api.tokens"`
	// A token with which calendar programs may read the feeds of schedules and
	// people, as ?token=… in the URL. It opens nothing else, so that it may be
	// passed on. Without it the feeds ask for an API token.
	CalendarToken Secret `yaml:"calendar_token" example:"${CALENDAR_TOKEN}"`
	// File with the calendar token.
	CalendarTokenFile string `yaml:"calendar_token_file" path:"true" example:"calendar.token"`
	// HTTPS. Absent: plain HTTP.
	TLS *ServerTLS `yaml:"tls" restart:"true"`
	// What one sender may ask of Tocsin.
	Limits Limits `yaml:"limits"`
}

// BasicAuth is a user name and a password.
type BasicAuth struct {
	// The user name. It cannot hold a colon.
	Username string `yaml:"username" example:"alertmanager" jsonschema:"required"`
	// The password.
	Password Secret `yaml:"password" example:"${INTAKE_PASSWORD}"`
	// File with the password.
	PasswordFile string `yaml:"password_file" path:"true" example:"intake.password"`
}

// Limits bounds what one request, or all of them together, may ask. A request
// beyond a limit is refused with a 4xx that names the limit; what cannot be
// taken now is refused with 503, which Alertmanager tries again.
type Limits struct {
	// The largest request body.
	Body Size `yaml:"body" default:"4MiB" example:"8MiB"`
	// The most alerts in one request.
	Alerts int `yaml:"alerts" default:"10000" example:"20000"`
	// The most labels, and the most annotations, of an alert.
	Labels int `yaml:"labels" default:"128" example:"64"`
	// The longest name of a label.
	LabelName Size `yaml:"label_name" default:"1KiB" example:"512"`
	// The longest value of a label or an annotation.
	LabelValue Size `yaml:"label_value" default:"16KiB" example:"8KiB"`
	// How many requests may wait for the store. Beyond it the answer is 503.
	Queue int `yaml:"queue" default:"1024" example:"4096" restart:"true"`
	// How long a request may wait for the store before the answer is 503.
	Wait Duration `yaml:"wait" default:"3s" example:"5s"`
	// How many requests a second one token, or one person, may make of the API and
	// the pages; twice as many at once. Beyond it the answer is 429. Senders of
	// alerts are not counted.
	RequestsPerSecond int `yaml:"requests_per_second" default:"100" example:"20" restart:"true"`
	// The most connections open at once.
	Connections int `yaml:"connections" default:"10000" example:"2000" restart:"true"`
}

// Storage is where incidents are kept.
type Storage struct {
	// The data folder. One Tocsin at a time may use it.
	Path string `yaml:"path" default:"data" path:"true" example:"/var/lib/tocsin" restart:"true"`
	// The most that the store may grow to. At the cap, intake answers 503.
	MaxSize Size `yaml:"max_size" default:"16GiB" example:"4GiB" restart:"true"`
	// How much must stay free on the disk. Below it, intake answers 503 until
	// there is room again.
	MinFree Size `yaml:"min_free" default:"256MiB" example:"1GiB" restart:"true"`
	// A file of this size is kept in the data folder, to be given up when the
	// disk is full, so that what is open can still be finished. 0: none.
	Ballast Size `yaml:"ballast" default:"16MiB" example:"64MiB" restart:"true"`
	// How long resolved incidents stay readable.
	Retention Duration `yaml:"retention" default:"90d" example:"1y"`
}

// NATS is the message stream. It carries no truth: losing it loses no page.
type NATS struct {
	// Servers of an existing NATS cluster, separated by commas. Empty: a NATS
	// server runs inside Tocsin, without a port.
	URL string `yaml:"url" defaultdoc:"none: embedded" example:"nats://nats-1:4222,nats://nats-2:4222,nats://nats-3:4222"`
	// Credentials file (.creds) for the cluster.
	CredentialsFile string `yaml:"credentials_file" path:"true" example:"nats.creds"`
	// TLS towards the cluster.
	TLS *NATSTLS `yaml:"tls"`
	// How many servers of the cluster keep a copy: 1, 3 or 5.
	Replicas int `yaml:"replicas" default:"1" example:"3"`
	// The stream of incident events (subjects tocsin.events.>), for others to
	// consume.
	Events NATSEvents `yaml:"events"`
}

// NATSTLS names the files for TLS towards NATS.
type NATSTLS struct {
	// Certificate authorities to trust instead of the system's.
	CAFile string `yaml:"ca_file" path:"true" example:"nats-ca.pem"`
	// Our certificate. Goes with key_file.
	CertFile string `yaml:"cert_file" path:"true" example:"nats-cert.pem"`
	// The key of our certificate.
	KeyFile string `yaml:"key_file" path:"true" example:"nats-key.pem"`
}

// NATSEvents bounds the stream of incident events.
type NATSEvents struct {
	// How long events are kept.
	MaxAge Duration `yaml:"max_age" default:"7d" example:"30d"`
	// How much room they may take; the oldest go first.
	MaxBytes Size `yaml:"max_bytes" default:"256MiB" example:"1GiB"`
}

// Runbooks is where the runbooks are.
type Runbooks struct {
	// Folders with markdown files. They are read at the start, at a reload, and when
	// files have changed.
	Dirs []string `yaml:"dirs" path:"true" example:"[runbooks, ../platform/runbooks]"`
	// How often it is looked whether files have changed. 0: never, only a reload
	// reads them again.
	ReloadInterval Duration `yaml:"reload_interval" default:"30s" example:"5s"`
}

// Incidents holds the rules of time for incidents.
type Incidents struct {
	// An alert that fires again within this time after its incident was
	// resolved reopens it: same Slack thread, same PagerDuty incident. 0: a new
	// incident every time.
	ReopenWindow Duration `yaml:"reopen_window" default:"30m" example:"1h"`
	// How late a message may come after a newer one and still be told for what
	// it is. Members of an Alertmanager pair can be 30s apart.
	LateWindow Duration `yaml:"late_window" default:"1m" example:"2m"`
	// An alert not heard of for this long is closed, and said to be stale. Keep
	// it above twice Alertmanager's repeat_interval. 0: never.
	StaleAfter Duration `yaml:"stale_after" default:"12h" example:"24h"`
	// When an incident counts as flapping: it then stays open, and quiet about
	// it, until it settles.
	Flapping Flapping `yaml:"flapping"`
}

// Flapping says when an incident flaps.
type Flapping struct {
	// This many changes between firing and resolved, within window. 0: never.
	Changes int `yaml:"changes" default:"6" example:"8"`
	// The time in which the changes are counted.
	Window Duration `yaml:"window" default:"15m" example:"30m"`
	// It has settled when nothing has fired for this long.
	Settle Duration `yaml:"settle" default:"10m" example:"20m"`
}

// Alarm is the way out when a provider is dead.
type Alarm struct {
	// The receiver to tell. Choose one that uses another provider than the
	// receivers it watches. Empty: the failure is seen in metrics and logs only.
	Receiver string `yaml:"receiver" example:"last-resort"`
	// How long a page may stay undelivered before the alarm goes out.
	After Duration `yaml:"after" default:"5m" example:"2m"`
}
