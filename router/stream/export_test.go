package stream

// KillServer stops the embedded server as if it had failed by itself.
func (s *Stream) KillServer() {
	srv := s.sess.Load().srv
	srv.Shutdown()
	srv.WaitForShutdown()
}
