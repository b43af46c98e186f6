package slacktest

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
