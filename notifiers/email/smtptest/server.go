package smtptest

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Config of a Server. Its zero value takes mail for everybody from everybody,
// and offers no TLS.
type Config struct {
	// Domain that the server greets with; empty: "mail.example.com".
	Domain string
	// TLS makes a certificate of its own (Server.Roots) and offers STARTTLS.
	TLS bool
	// Implicit begins every connection with TLS; it needs TLS.
	Implicit bool
	// Hosts in the certificate; empty: Domain, localhost, 127.0.0.1 and ::1.
	Hosts []string
	// RequireTLS refuses mail on connections in the clear, with 530.
	RequireTLS bool
	// Username and Password that AUTH takes; no Username: AUTH is not offered,
	// else mail without a login is refused, with 530. With TLS, AUTH is offered
	// under TLS only.
	Username, Password string
	// Mechanisms of AUTH; empty: PLAIN and LOGIN.
	Mechanisms []string
	// Recipients that exist; empty: all. Others are refused, with 550.
	Recipients []string
	// Greylist puts off a sender and recipient not seen before for this long,
	// with 450; 0: nobody.
	Greylist time.Duration
	// MaxBytes of a mail; 0: 10 MiB. Larger ones are refused, with 552.
	MaxBytes int64
	// FailRate is the share (0 to 1) of mails that are refused for the time
	// being, with 451, at random. Server.SetFailRate changes it.
	FailRate float64
	// Seed of what happens at random.
	Seed uint64
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Stats counts what happened since the start.
type Stats struct {
	// Connections that were opened, and Logins that succeeded or failed.
	Connections, Logins, BadLogins int
	// Accepted mails, and Refused commands.
	Accepted, Refused int
}

// Server is an emulated mail server. It is safe for concurrent use.
type Server struct {
	conf  Config
	smtp  *smtp.Server
	roots *x509.CertPool
	tls   *tls.Config
	pipes *pipes
	work  sync.WaitGroup

	mu       sync.Mutex
	rand     *rand.Rand
	serving  []net.Listener
	faults   []*Fault
	seen     map[[2]string]time.Time
	messages []Message
	stats    Stats
}

// New returns a server that listens to nothing but Dial. Call Close at the end.
func New(c Config) *Server {
	c.Domain = cmp.Or(c.Domain, "mail.example.com")
	c.MaxBytes = cmp.Or(c.MaxBytes, 10<<20)
	if len(c.Mechanisms) == 0 {
		c.Mechanisms = []string{"PLAIN", "LOGIN"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{
		conf: c, pipes: newPipes(), seen: map[[2]string]time.Time{},
		rand: rand.New(rand.NewPCG(c.Seed, 1)),
	}
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.session))
	s.smtp.Domain, s.smtp.MaxMessageBytes = c.Domain, c.MaxBytes
	s.smtp.EnableSMTPUTF8 = true
	s.smtp.ErrorLog = silent{}
	s.smtp.AllowInsecureAuth = !c.TLS
	if c.TLS || c.Implicit {
		s.tls, s.roots = certificate(c)
	}
	if c.TLS && !c.Implicit {
		s.smtp.TLSConfig = s.tls
	}
	s.Serve(s.pipes)
	return s
}

// Roots are what the server's certificate is checked against; nil without TLS.
func (s *Server) Roots() *x509.CertPool { return s.roots }

// Serve takes connections from a listener until Close, which closes it. It does
// not wait.
func (s *Server) Serve(l net.Listener) {
	if s.conf.Implicit {
		l = tls.NewListener(l, s.tls)
	}
	s.mu.Lock()
	s.serving = append(s.serving, l)
	s.mu.Unlock()
	s.work.Go(func() { _ = s.smtp.Serve(greeter{l, s}) }) // ends with Close
}

// Listen serves a free port of this machine and returns its number.
func (s *Server) Listen() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	s.Serve(l)
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("smtptest: the listener has no port")
	}
	return addr.Port, nil
}

// Dial connects to the server without a socket. It fits email.Config.Dial.
func (s *Server) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if f := s.fault(AtDial); f != nil {
		if err := wait(ctx, f.Delay); err != nil {
			return nil, err
		}
		if f.Drop || f.Code != 0 {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connect: connection refused to " + address)}
		}
	}
	return s.pipes.dial(ctx)
}

// Close ends all connections and waits until nothing is served any more.
func (s *Server) Close() {
	_ = s.smtp.Close() // what listens is closed below, whatever this says
	s.mu.Lock()
	for _, l := range s.serving {
		_ = l.Close() // go-smtp knows only those that it has begun to serve
	}
	s.mu.Unlock()
	s.work.Wait()
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// SetFailRate changes Config.FailRate.
func (s *Server) SetFailRate(share float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conf.FailRate = share
}

// Messages returns all mails that were accepted, in order, repeats included.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Copies counts how often a mail with the Message-ID was accepted.
func (s *Server) Copies(id string) int {
	n := 0
	for _, m := range s.Messages() {
		if m.ID == id {
			n++
		}
	}
	return n
}

// Mailbox returns what a mail program that drops equal Message-IDs shows to a
// recipient: the first mail of each.
func (s *Server) Mailbox(recipient string) []Message {
	var box []Message
	shown := map[string]bool{}
	for _, m := range s.Messages() {
		if slices.ContainsFunc(m.To, func(to string) bool { return strings.EqualFold(to, recipient) }) && !shown[m.ID] {
			shown[m.ID] = true
			box = append(box, m)
		}
	}
	return box
}

// Clear forgets all mails.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = nil
}

// silent drops go-smtp's log: what clients did is in Stats and Messages.
type silent struct{}

// Printf implements smtp.Logger.
func (silent) Printf(string, ...any) {}

// Println implements smtp.Logger.
func (silent) Println(...any) {}

// count changes the counts.
func (s *Server) count(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
