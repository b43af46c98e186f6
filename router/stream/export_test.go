package stream

import "github.com/nats-io/nats.go/jetstream"

func (s *Stream) JS() jetstream.JetStream { return s.sess.Load().js }
