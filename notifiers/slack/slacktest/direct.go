package slacktest

// wireDirect is direct messages in an answer: they have no name.
type wireDirect struct {
	ID         string `json:"id"`
	Created    int64  `json:"created"`
	IsArchived bool   `json:"is_archived"`
	IsIM       bool   `json:"is_im"`
	User       string `json:"user,omitzero"`
}

// toldName is the name of a channel in what tells of clicks and commands.
func (c *channel) toldName() string {
	if c.im {
		return "directmessage"
	}
	return c.name
}

// dmName is what the emulator calls the direct messages with a user.
func dmName(user string) string { return "dm:" + user }

// dm returns the direct messages with a user, opened where they were not. The
// caller holds s.mu.
func (s *Server) dm(user string) *channel {
	if c := s.byName[dmName(user)]; c != nil {
		return c
	}
	c := s.create('D', dmName(user))
	c.im, c.with = true, user
	return c
}
