package server

import (
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	tocsin "github.com/tocsin-oncall/tocsin"
)

// System is how the program itself stands. There is nothing secret in it.
type System struct {
	Version   string    `json:"version"`
	StartedAt time.Time `json:"startedAt"`
	// Problem is why alerts would not be taken now; empty: they would.
	Problem string `json:"problem,omitempty"`
	// Store is what the store knows of itself.
	Live    int   `json:"live"`
	Open    int   `json:"open"`
	Alerts  int   `json:"alerts"`
	Firing  int   `json:"firing"`
	Queue   int   `json:"queue"`
	Size    int64 `json:"size"`
	Lagging int   `json:"lagging"`
	// OldestLag is since when the oldest delivery that lags does so.
	OldestLag time.Time  `json:"oldestLag,omitzero"`
	Providers []Provider `json:"providers"`
	// Configuration is what is in force.
	Configuration ConfigurationInForce `json:"configuration"`
	// Runbooks counts those that are loaded, Stale those of them that are an earlier
	// version, and RunbookProblems the files that are not right.
	Runbooks        int `json:"runbooks"`
	Stale           int `json:"stale"`
	RunbookProblems int `json:"runbookProblems"`
	// Sandbox is what this machine offers to hold remedies.
	Sandbox []SandboxOffer `json:"sandbox"`
	// Events is the number of the last event of the audit log.
	Events uint64 `json:"events"`
}

// Provider is how the deliveries of one kind stand, over the incidents that are
// open.
type Provider struct {
	// Kind is slack, pagerduty, webhook or email.
	Kind string `json:"kind"`
	// Current deliveries are up to date, Lagging ones are on their way, Failed ones
	// were given up.
	Current int `json:"current"`
	Lagging int `json:"lagging"`
	Failed  int `json:"failed"`
	// DeliveredAt is when the last one went out.
	DeliveredAt time.Time `json:"deliveredAt,omitzero"`
	// Error is what the provider said to one that lags or has failed.
	Error string `json:"error,omitempty"`
}

// ConfigurationInForce is what was loaded last.
type ConfigurationInForce struct {
	File     string    `json:"file"`
	Hash     string    `json:"hash"`
	LoadedAt time.Time `json:"loadedAt"`
	// Warnings are what was said about it when it was loaded.
	Warnings []string `json:"warnings"`
}

// SandboxOffer is one thing that can hold a remedy.
type SandboxOffer struct {
	What    string `json:"what"`
	Offered bool   `json:"offered"`
	Means   string `json:"means"`
}

// systemView is what the page shows.
type systemView struct {
	page
	Of System
	// Audit and Access are true for those who may look at these pages. Verified is
	// what verifying the audit log has found last; nil: nobody has yet.
	Audit, Access bool
	Verified      *verified
}

// Size of the store for a person.
func (v systemView) Size() string { return fmt.Sprintf("%.1f MiB", float64(v.Of.Size)/(1<<20)) }

func (s *Server) getSystem(c echo.Context, _ *tocsin.Principal) error {
	v, err := s.deps.System(c.Request().Context())
	if err != nil {
		return err
	}
	return s.json(c, v)
}

// accessPages are the pages of who has changed what, and of who can come in.
func (s *Server) accessPages(e *echo.Echo) {
	audit := func(h personal) echo.HandlerFunc {
		return s.manager(s.forPeople(needs(s.deps.Audit != nil, "audit log", h)))
	}
	e.GET(pathAuditPage, audit(s.auditLogPage))
	e.POST("/audit/verify", audit(s.auditVerified))
	admin := func(have bool, what string, h personal) echo.HandlerFunc {
		return s.admin(s.forPeople(needs(have, what, h)))
	}
	tokens, sessions := s.deps.Tokens != nil, s.deps.Sessions != nil
	e.GET(pathAccessPage, admin(tokens || sessions, "tokens", s.accessPage))
	e.POST("/tokens", admin(tokens, "tokens", s.tokenMade))
	e.POST("/tokens/:id/revoke", admin(tokens, "tokens", s.tokenRevoked))
	e.POST("/sessions/:id/end", admin(sessions, "sessions", s.sessionEnded))
}

func (s *Server) systemPage(c echo.Context, who *tocsin.Principal) error {
	v, err := s.deps.System(c.Request().Context())
	if err != nil {
		return err
	}
	return s.page(c, http.StatusOK, "system", systemView{
		page: s.top(c, "System", 30), Of: v, Verified: s.verified.Load(),
		Audit: who.May(tocsin.RightManage) && s.deps.Audit != nil, Access: who.May(tocsin.RightAdmin) && (s.deps.Tokens != nil || s.deps.Sessions != nil),
	})
}
