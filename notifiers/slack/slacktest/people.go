package slacktest

import (
	"slices"
	"strings"
)

// token is what one token may do.
type token struct {
	all    bool
	scopes []string
}

// authorize checks a token against the scopes of which it needs any one. It
// returns Slack's code, the scopes that are missing and those that are there.
func (s *Server) authorize(name string, scopes []string) (code, needed, provided string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.allowed(name, scopes)
}

// allowed is authorize for a caller that holds s.mu.
func (s *Server) allowed(name string, scopes []string) (code, needed, provided string) {
	if name == "" {
		return "not_authed", "", ""
	}
	if s.revoked[name] {
		return "token_revoked", "", ""
	}
	if s.tokens == nil {
		return "", "", ""
	}
	t := s.tokens[name]
	if t == nil {
		return "invalid_auth", "", ""
	}
	if t.all || len(scopes) == 0 || slices.ContainsFunc(scopes, func(sc string) bool { return slices.Contains(t.scopes, sc) }) {
		return "", "", ""
	}
	return "missing_scope", strings.Join(scopes, ","), strings.Join(t.scopes, ",")
}

// User is a member of the workspace.
type User struct {
	ID       string
	Name     string
	RealName string
	Email    string
	TimeZone string
	Bot      bool
	// Deactivated accounts take messages, which nobody reads.
	Deactivated bool
}

// UserGroup is a group that can be mentioned.
type UserGroup struct {
	ID     string
	Handle string
	Name   string
	Users  []string
}

// AddUser adds a member, or replaces one, and returns the ID; an empty ID gets
// a new one.
func (s *Server) AddUser(u User) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.ID == "" {
		u.ID = s.newID('U')
	}
	s.users[u.ID] = &u
	return u.ID
}

// Deactivate deactivates a member's account, or activates it again.
func (s *Server) Deactivate(id string, deactivated bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[id]; u != nil {
		u.Deactivated = deactivated
	}
}

// AddUserGroup adds a user group, or replaces one, and returns the ID.
func (s *Server) AddUserGroup(g UserGroup) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.ID == "" {
		g.ID = s.newID('S')
	}
	s.groups[g.ID] = &g
	return g.ID
}

// GroupMembers returns the user IDs of a group.
func (s *Server) GroupMembers(id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[id]; g != nil {
		return slices.Clone(g.Users)
	}
	return nil
}

type wireUser struct {
	ID       string `json:"id"`
	TeamID   string `json:"team_id"`
	Name     string `json:"name"`
	RealName string `json:"real_name"`
	TZ       string `json:"tz,omitzero"`
	IsBot    bool   `json:"is_bot"`
	Deleted  bool   `json:"deleted"`
	Profile  struct {
		Email    string `json:"email,omitzero"`
		RealName string `json:"real_name"`
	} `json:"profile"`
}

func (u *User) answer() answer {
	w := wireUser{ID: u.ID, TeamID: TeamID, Name: u.Name, RealName: u.RealName, TZ: u.TimeZone, IsBot: u.Bot, Deleted: u.Deactivated}
	w.Profile.Email, w.Profile.RealName = u.Email, u.RealName
	return succeeded(struct {
		OK   bool     `json:"ok"`
		User wireUser `json:"user"`
	}{true, w})
}

func (s *Server) userInfo(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[c.arg("user")]; u != nil {
		return u.answer()
	}
	return failed("user_not_found")
}

func (s *Server) userByEmail(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.users {
		if u.Email != "" && !u.Deactivated && strings.EqualFold(u.Email, c.arg("email")) {
			return u.answer()
		}
	}
	return failed("users_not_found")
}

type wireGroup struct {
	ID      string `json:"id"`
	TeamID  string `json:"team_id"`
	Handle  string `json:"handle"`
	Name    string `json:"name"`
	IsGroup bool   `json:"is_usergroup"`
	// Users and UserCount are given where they are asked for.
	Users     []string `json:"users,omitzero"`
	UserCount *int     `json:"user_count,omitzero"`
}

// wire is the group as a call asks for it
// (https://docs.slack.dev/reference/methods/usergroups.list, include_count).
func (g *UserGroup) wire(c *call) wireGroup {
	w := wireGroup{ID: g.ID, TeamID: TeamID, Handle: g.Handle, Name: g.Name, IsGroup: true}
	if c.bool("include_count") {
		n := len(g.Users)
		w.UserCount = &n
	}
	return w
}

func (s *Server) userGroupList(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	groups := []wireGroup{}
	for _, g := range s.groups {
		w := g.wire(c)
		if c.bool("include_users") {
			w.Users = slices.Clone(g.Users)
		}
		groups = append(groups, w)
	}
	slices.SortFunc(groups, func(a, b wireGroup) int { return strings.Compare(a.ID, b.ID) })
	return succeeded(struct {
		OK     bool        `json:"ok"`
		Groups []wireGroup `json:"usergroups"`
	}{true, groups})
}

func (s *Server) userGroupUsers(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[c.arg("usergroup")]
	if g == nil {
		return failed("no_such_subteam")
	}
	return succeeded(struct {
		OK    bool     `json:"ok"`
		Users []string `json:"users"`
	}{true, slices.Clone(g.Users)})
}

// userGroupUpdate replaces the whole list; an empty one is refused, and so are
// bots (https://docs.slack.dev/reference/methods/usergroups.users.update). That
// deactivated users are refused as unknown ones are is assumed.
func (s *Server) userGroupUpdate(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[c.arg("usergroup")]
	if g == nil {
		return failed("no_such_subteam")
	}
	list := strings.FieldsFunc(c.arg("users"), func(r rune) bool { return strings.ContainsRune(`,[]" `, r) })
	if len(list) == 0 {
		return failed("no_users_provided")
	}
	for _, id := range list {
		switch u := s.users[id]; {
		case u == nil || u.Deactivated:
			return failed("invalid_users")
		case u.Bot:
			return failed("invalid_user")
		}
	}
	g.Users = list
	w := g.wire(c)
	w.Users = slices.Clone(list)
	return succeeded(struct {
		OK    bool      `json:"ok"`
		Group wireGroup `json:"usergroup"`
	}{true, w})
}

func (s *Server) apiTest(*call) answer { return succeeded(reply{OK: true}) }

func (s *Server) authTest(*call) answer {
	return succeeded(map[string]any{
		"ok": true, "url": "https://tocsin-test.slack.com/", "team": "Tocsin Test", "team_id": TeamID,
		"user": BotName, "user_id": BotUserID, "bot_id": BotID, "is_enterprise_install": false,
	})
}

// connectionOpen hands out where a connection of Socket Mode can be made, once
// (https://docs.slack.dev/reference/methods/apps.connections.open).
func (s *Server) connectionOpen(c *call) answer {
	if !strings.HasPrefix(c.token, "xapp-") {
		return failed("not_allowed_token_type")
	}
	if code, needed, provided := s.authorize(c.token, []string{"connections:write"}); code != "" {
		return denied(code, needed, provided)
	}
	return succeeded(map[string]any{"ok": true, "url": c.self + linkPath + "?ticket=" + s.sockets.ticket(c.token, c.now) + "&app_id=" + appID})
}
