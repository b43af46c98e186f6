package server_test

// What a route is to people whose roles are in teams alone, beside the kinds whose ID
// is in its path.
const (
	// closed: it is about everybody's.
	closed = "closed"
	// open: it shows, or takes, what is theirs.
	open = "open"
)

// thing is what an ID in a path is of: theirs, another team's, and one that there
// is not.
type thing struct{ ours, theirs, nowhere string }

var things = map[string]thing{
	"incident": {ours, theirs, nowhere},
	"run":      {ours + "-r", theirs + "-r", nowhere + "-r"},
	"override": {"ovours", "ovweb1", "ovnone"},
	"schedule": {"db-primary", "web-" + canary, "web-nobody"},
	"user":     {"dora", "will", "nono"},
	"silence":  {"sildbs", "silweb", "silnot"},
}

// rightsInTeams say what each route is to people whose roles are in teams alone.
// Every route that asks for a right has an entry: one without fails the test.
var rightsInTeams = map[string]string{
	closed: `
		GET /api/v1/system
		GET /system
		GET /api/v1/stats
		POST /api/v1/remedies/stop
		POST /api/v1/remedies/resume
		POST /remedies/stop
		POST /remedies/resume
		GET /api/v1/audit
		GET /api/v1/audit/verify
		GET /system/audit
		POST /audit/verify
		POST /-/reload
		GET /api/v1/backup
		GET /api/v1/tokens
		POST /api/v1/tokens
		DELETE /api/v1/tokens/:id
		GET /api/v1/sessions
		DELETE /api/v1/sessions/:id
		GET /system/access
		POST /tokens
		POST /tokens/:id/revoke
		POST /sessions/:id/end`,
	open: `
		GET /api/v1/me
		GET /api/v1/events
		GET /api/v1/incidents
		POST /api/v1/incidents
		GET /api/v1/insights
		GET /api/v1/oncall
		GET /api/v1/oncall/coverage
		GET /api/v1/oncall/fairness
		GET /api/v1/overrides
		POST /api/v1/overrides
		GET /api/v1/remediations
		GET /api/v1/remedies
		GET /api/v1/runbooks
		GET /api/v1/runbooks-coverage
		GET /api/v1/runbooks/*
		GET /api/v1/schedules
		GET /api/v1/shifts
		GET /api/v2/alerts
		GET /api/v2/alerts/groups
		GET /api/v2/receivers
		GET /api/v2/status
		GET /
		GET /events
		GET /insights
		GET /oncall
		GET /remediations
		GET /runbooks
		GET /runbooks-coverage
		GET /runbooks/*
		POST /incidents/acknowledge
		POST /overrides
		GET /api/v1/silences
		GET /api/v1/silences/preview
		POST /api/v1/silences
		GET /api/v2/silences
		POST /api/v2/silences
		GET /silences
		GET /silences/preview
		POST /silences`,
	"silence": `
		GET /api/v1/silences/:id
		DELETE /api/v1/silences/:id
		GET /api/v2/silence/:id
		DELETE /api/v2/silence/:id
		POST /silences/:id/expire
		POST /silences/:id/extend`,
	"incident": `
		GET /api/v1/incidents/:id
		GET /api/v1/incidents/:id/beside
		GET /api/v1/incidents/:id/postmortem
		GET /api/v1/incidents/:id/remedies
		GET /api/v1/incidents/:id/values
		GET /api/v1/incidents/:id/why
		POST /api/v1/incidents/:id/acknowledge
		POST /api/v1/incidents/:id/add-responder
		POST /api/v1/incidents/:id/channel
		POST /api/v1/incidents/:id/escalate
		POST /api/v1/incidents/:id/merge
		POST /api/v1/incidents/:id/note
		POST /api/v1/incidents/:id/reassign
		POST /api/v1/incidents/:id/remediate
		POST /api/v1/incidents/:id/resolve
		POST /api/v1/incidents/:id/severity
		POST /api/v1/incidents/:id/snooze
		POST /api/v1/incidents/:id/step
		POST /api/v1/incidents/:id/unmerge
		GET /incidents/:id
		GET /incidents/:id/beside
		GET /incidents/:id/graph.svg
		GET /incidents/:id/postmortem.md
		GET /incidents/:id/remedies/:name
		GET /incidents/:id/why
		POST /incidents/:id/acknowledge
		POST /incidents/:id/add-responder
		POST /incidents/:id/channel
		POST /incidents/:id/escalate
		POST /incidents/:id/merge
		POST /incidents/:id/note
		POST /incidents/:id/reassign
		POST /incidents/:id/remediate
		POST /incidents/:id/resolve
		POST /incidents/:id/severity
		POST /incidents/:id/snooze
		POST /incidents/:id/step
		POST /incidents/:id/unmerge`,
	"run": `
		GET /api/v1/remediations/:id
		POST /api/v1/remediations/:id/approve
		POST /api/v1/remediations/:id/deny
		GET /remediations/:id
		POST /remediations/:id/approve
		POST /remediations/:id/deny`,
	"override": `
		GET /api/v1/overrides/:id
		POST /api/v1/overrides/:id/accept
		POST /api/v1/overrides/:id/cancel
		POST /api/v1/overrides/:id/decline
		POST /overrides/:id/accept
		POST /overrides/:id/cancel
		POST /overrides/:id/decline`,
	"schedule": `GET /api/v1/schedules/:name/calendar.ics`,
	"user":     `GET /api/v1/users/:name/calendar.ics`,
}

// asked is what the routes are sent: as JSON, and as a form.
var asked = map[string][2]string{
	"add-responder": {`{"user":"ana"}`, "whom=ana"},
	"reassign":      {`{"user":"ana"}`, "whom=ana"},
	"merge":         {`{"into":"` + calling + `"}`, "into=" + calling},
	"note":          {`{"text":"x"}`, "text=x"},
	"severity":      {`{"severity":"error"}`, "severity=error"},
	"snooze":        {`{"until":"2026-11-22T06:00:00Z"}`, "for=1h"},
	"step":          {`{"runbookStep":"1","status":"done"}`, "step=1&status=done"},
	"remediate":     {`{"remedy":"restart"}`, "remedy=restart"},
	"incidents":     {`{"title":"x"}`, ""},
	"overrides":     {`{"schedule":"db-primary","user":"dora","to":"2026-11-22T06:00:00Z"}`, "schedule=db-primary&kind=replace&user=dora&to=2026-11-22T06:00"},
	"silences":      {`{"matchers":["team=db","a=b"],"endsAt":"2026-11-22T06:00:00Z","comment":"x"}`, "matchers=a%3Db%2C+team%3Ddb&comment=x&for=1h"},
	"v2 silences":   {`{"matchers":[{"name":"team","value":"db"}],"startsAt":"2026-11-22T05:00:00Z","endsAt":"2026-11-22T06:00:00Z","comment":"x"}`, ""},
	"extend":        {``, "for=1h&shown=2026-11-22T06:00:00Z"},
	"acknowledge":   {``, "id=" + ours + "&id=" + theirs},
}
