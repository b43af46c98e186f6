package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// What amtool, karma and Grafana ask of an Alertmanager, version 2 of its API:
// https://github.com/prometheus/alertmanager/blob/v0.34.2/api/v2/openapi.yaml.
// Alerts come in by pathIntake, not this way.

// alertmanagerRoutes answer, and refuse, in Alertmanager's form.
func (s *Server) alertmanagerRoutes(e *echo.Echo) {
	some := func(h personal) echo.HandlerFunc { return s.asAlertmanager(s.someViewer(h)) }
	api := e.Group("/api/v2")
	api.GET("/status", some(s.amStatus))
	api.GET("/receivers", some(s.amReceivers))
	api.GET("/alerts", some(s.amAlerts))
	api.GET("/alerts/groups", some(s.amGroups))
	api.GET("/silences", s.asAlertmanager(s.silenceViewer(s.amSilences)))
	api.POST("/silences", s.asAlertmanager(s.silenceResponder(s.amPutSilence)))
	api.GET("/silence/:id", s.asAlertmanager(s.silenceViewer(s.amSilence)))
	api.DELETE("/silence/:id", s.asAlertmanager(s.responderOfSilence(s.amExpireSilence)))
}

// pathAlertmanager begins the paths where what goes wrong is told as Alertmanager
// does.
const pathAlertmanager = "/api/v2/"

// asAlertmanager says what went wrong as Alertmanager's description has it.
func (s *Server) asAlertmanager(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := h(c)
		if err == nil || c.Response().Committed {
			return err
		}
		r := refusalOf(err)
		s.logRefusal(c, r)
		return amRefuse(c, r, true)
	}
}

// amRefuse answers as Alertmanager does: what its description of an operation
// knows with a JSON string, which the clients made from it look for, and what
// never came to an operation with a code and a message.
func amRefuse(c echo.Context, r *refusal, operation bool) error {
	h := c.Response().Header()
	if r.status == http.StatusServiceUnavailable {
		h.Set(echo.HeaderRetryAfter, retryAfter)
	}
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	message := clip(r.Error())
	if c.Request().Method == http.MethodPost && r.status == http.StatusMethodNotAllowed {
		message += "; alerts are sent to " + pathIntake + ", by a webhook receiver of Alertmanager"
	}
	var said any = message
	switch r.status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusInternalServerError:
	default:
		operation = false
	}
	if !operation {
		said = struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}{r.status, message}
	}
	body, err := json.Marshal(said)
	if err != nil {
		return err
	}
	return c.Blob(r.status, "application/json", append(body, '\n'))
}

type amStatus struct {
	Cluster struct {
		Name   string   `json:"name"`
		Status string   `json:"status"`
		Peers  []string `json:"peers"`
	} `json:"cluster"`
	VersionInfo struct {
		Version   string `json:"version"`
		Revision  string `json:"revision"`
		Branch    string `json:"branch"`
		BuildUser string `json:"buildUser"`
		BuildDate string `json:"buildDate"`
		GoVersion string `json:"goVersion"`
	} `json:"versionInfo"`
	Config struct {
		Original string `json:"original"`
	} `json:"config"`
	// Uptime is when the program started, for all its name.
	Uptime time.Time `json:"uptime"`
}

// amStatus tells what program this is.
func (s *Server) amStatus(c echo.Context, who *tocsin.Principal) error {
	var v amStatus
	v.Cluster.Name, v.Cluster.Status, v.Cluster.Peers = "tocsin", "disabled", []string{}
	v.VersionInfo.Version, v.VersionInfo.Branch = "tocsin "+s.deps.Version, "tocsin"
	v.VersionInfo.GoVersion = runtime.Version()
	v.Config.Original = amConfig(s.receiverNames(who))
	v.Uptime = s.started.UTC()
	return s.json(c, v)
}

// amConfig is a configuration that Alertmanager could load, since Grafana does: it
// tells no more than the receivers' names.
func amConfig(receivers []string) string {
	if len(receivers) == 0 {
		receivers = []string{"tocsin"}
	}
	var b strings.Builder
	b.WriteString("# This is Tocsin: its routes are its own, and are not shown here.\n")
	fmt.Fprintf(&b, "route:\n  receiver: %s\nreceivers:\n", quoted(receivers[0]))
	for _, name := range receivers {
		fmt.Fprintf(&b, "- name: %s\n", quoted(name))
	}
	return b.String()
}

// quoted is a string as YAML 1.2 and JSON write it.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		return `""`
	}
	return string(b)
}

type amName struct {
	Name string `json:"name"`
}

// receiverNames are those of the receivers whose incidents somebody may view.
func (s *Server) receiverNames(who *tocsin.Principal) []string {
	if s.deps.Receivers == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.deps.Receivers()), func(name string) bool {
		return !who.MayIn(tocsin.RightView, &tocsin.Incident{Receivers: []string{name}})
	})
}

// amReceivers lists the receivers. They have no labels to be matched by.
func (s *Server) amReceivers(c echo.Context, who *tocsin.Principal) error {
	ms, err := amMatchers(c, "receiver_matchers")
	if err != nil {
		return err
	}
	names := []amName{}
	for _, name := range s.receiverNames(who) {
		if matchAll(ms, nil) {
			names = append(names, amName{name})
		}
	}
	return s.json(c, names)
}

// amQuestion is which alerts to list.
type amQuestion struct {
	filter, receivers []*matcher
	receiver          *regexp.Regexp
	// Alerts of these kinds are listed.
	active, silenced, inhibited, muted bool
	// narrow: only the receivers that are asked for are told of.
	narrow bool
}

func readQuestion(c echo.Context) (*amQuestion, error) {
	q := &amQuestion{}
	var err error
	if q.filter, err = amMatchers(c, "filter"); err != nil {
		return nil, err
	}
	if q.receivers, err = amMatchers(c, "receiver_matchers"); err != nil {
		return nil, err
	}
	unprocessed := false // there are none
	for name, into := range map[string]*bool{"active": &q.active, "silenced": &q.silenced, "inhibited": &q.inhibited, "muted": &q.muted, "unprocessed": &unprocessed} {
		if *into, err = amWanted(c, name); err != nil {
			return nil, err
		}
	}
	if text := c.QueryParam("receiver"); text != "" {
		if len(text) > maxQuestion {
			return nil, invalid("receiver", "longer than %d bytes", maxQuestion)
		}
		if q.receiver, err = regexp.Compile("^(?:" + text + ")$"); err != nil {
			return nil, invalid("receiver", "%v", err)
		}
	}
	return q, nil
}

// amMatchers reads a parameter that may be given many times.
func amMatchers(c echo.Context, name string) ([]*matcher, error) {
	list := c.QueryParams()[name]
	if len(list) > maxMatchers {
		return nil, invalid(name, "more than %d", maxMatchers)
	}
	if err := tocsin.CheckMatchers(name, list...); err != nil {
		return nil, err
	}
	var out []*matcher
	for _, text := range list {
		ms, err := parseQuestion(text)
		if err != nil {
			return nil, invalid(name, "%q: %v", clip(text), err)
		}
		out = append(out, ms...)
	}
	return out, nil
}

// amWanted reads a parameter that is true unless it says otherwise.
func amWanted(c echo.Context, name string) (bool, error) {
	text := c.QueryParam(name)
	if text == "" {
		return true, nil
	}
	yes, err := strconv.ParseBool(text)
	if err != nil {
		return false, invalid(name, "want true or false")
	}
	return yes, nil
}

// from reports whether alerts for these receivers are asked for, as far as that
// can be told of the receivers.
func (q *amQuestion) from(receivers []string) bool {
	if !matchAll(q.receivers, nil) {
		return false
	}
	if q.receiver == nil {
		return true
	}
	for _, name := range receivers {
		if q.receiver.MatchString(name) {
			return true
		}
	}
	return false
}

// shown are the receivers that an alert is said to go to. Where groups are asked
// for, Alertmanager tells of no others than the groups'.
func (q *amQuestion) shown(receivers []string) []string {
	if !q.narrow || q.receiver == nil {
		return receivers
	}
	return slices.DeleteFunc(slices.Clone(receivers), func(name string) bool { return !q.receiver.MatchString(name) })
}

// amMatch is matchAll as Alertmanager's filters have it: name="" fits what has no
// such label, and name!="" what has one, whatever else the matcher would say.
func amMatch(ms []*matcher, l tocsin.Labels) bool {
	for _, m := range ms {
		value, has := l[m.Name]
		negative := m.Type.String() == "!=" || m.Type.String() == "!~"
		if m.Value == "" && has == negative {
			continue
		}
		if !m.Matches(value) {
			return false
		}
	}
	return true
}
