package server

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"
)

// codeTooMany is never what a sender of alerts hears.
const codeTooMany = "too_many_requests"

// Wrong tokens of one address, and log-ins that it begins: a burst, and then one
// in a while.
const (
	guessBurst = 20
	guessEvery = 6 * time.Second
	loginBurst = 30
	loginEvery = 2 * time.Second
)

// network is an address as one caller has it: an IPv6 address stands for its /64, all
// of which one machine may use.
func network(addr netip.Addr) netip.Addr {
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		if net, err := addr.Prefix(64); err == nil {
			return net.Addr()
		}
	}
	return addr
}

// guesser is the key of an address's share of wrong tokens and log-ins.
func guesser(address string) string {
	if addr, err := netip.ParseAddr(address); err == nil {
		return network(addr).String()
	}
	return address
}

// maxShares bounds how many callers are remembered. When there are more, all are
// forgotten: a stranger with many addresses gains a burst for each, which is little
// against what guessing a token takes.
const maxShares = 10_000

// shares gives each caller the same share of something.
type shares struct {
	every rate.Limit
	burst int

	mu sync.Mutex
	of map[string]*rate.Limiter
}

func newShares(every rate.Limit, burst int) *shares {
	return &shares{every: every, burst: burst, of: map[string]*rate.Limiter{}}
}

func (s *shares) limiter(key string) *rate.Limiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.of[key]
	if l == nil {
		if len(s.of) >= maxShares {
			clear(s.of)
		}
		l = rate.NewLimiter(s.every, s.burst)
		s.of[key] = l
	}
	return l
}

// may reports whether something is left of the caller's share.
func (s *shares) may(key string, now time.Time) bool { return s.limiter(key).TokensAt(now) >= 1 }

// take takes one from the caller's share, and reports whether there was one.
func (s *shares) take(key string, now time.Time) bool { return s.limiter(key).AllowN(now, 1) }

// tooMany tells how long to wait.
func tooMany(c echo.Context, wait time.Duration, format string, args ...any) error {
	seconds := max(1, int(math.Ceil(wait.Seconds())))
	c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(seconds))
	return refuse(http.StatusTooManyRequests, codeTooMany, "", format, args...)
}
