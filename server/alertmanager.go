package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"runtime"
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
	view := func(h personal) echo.HandlerFunc { return s.asAlertmanager(s.viewer(h)) }
	act := func(h personal) echo.HandlerFunc { return s.asAlertmanager(s.responder(h)) }
	api := e.Group("/api/v2")
	api.GET("/status", view(s.amStatus))
	api.GET("/receivers", view(s.amReceivers))
	api.GET("/alerts", view(s.amAlerts))
	api.GET("/alerts/groups", view(s.amGroups))
	api.GET("/silences", view(s.amSilences))
	api.POST("/silences", act(s.amPutSilence))
	api.GET("/silence/:id", view(s.amSilence))
	api.DELETE("/silence/:id", act(s.amExpireSilence))
}

// asAlertmanager says what went wrong as Alertmanager does: a JSON string.
func (s *Server) asAlertmanager(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := h(c)
		if err == nil || c.Response().Committed {
			return err
		}
		r := refusalOf(err)
		s.logRefusal(c, r)
		if r.status == http.StatusServiceUnavailable {
			c.Response().Header().Set(echo.HeaderRetryAfter, retryAfter)
		}
		body, err := json.Marshal(clip(r.Error()))
		if err != nil {
			return err
		}
		c.Response().Header().Set(echo.HeaderXContentTypeOptions, "nosniff")
		return c.Blob(r.status, "application/json", append(body, '\n'))
	}
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
func (s *Server) amStatus(c echo.Context, _ *tocsin.Principal) error {
	var v amStatus
	v.Cluster.Name, v.Cluster.Status, v.Cluster.Peers = "tocsin", "disabled", []string{}
	v.VersionInfo.Version, v.VersionInfo.Branch = "tocsin "+s.deps.Version, "tocsin"
	v.VersionInfo.GoVersion = runtime.Version()
	v.Config.Original = amConfig(s.receiverNames())
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

func (s *Server) receiverNames() []string {
	if s.deps.Receivers == nil {
		return nil
	}
	return s.deps.Receivers()
}

// amReceivers lists the receivers. They have no labels to be matched by.
func (s *Server) amReceivers(c echo.Context, _ *tocsin.Principal) error {
	ms, err := amMatchers(c, "receiver_matchers")
	if err != nil {
		return err
	}
	names := []amName{}
	for _, name := range s.receiverNames() {
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
