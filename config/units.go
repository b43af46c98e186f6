package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time, written as Prometheus does: 30s, 5m, 1h30m, 90d.
// The units are ms, s, m, h, d (24 hours), w (7 days) and y (365 days). It is
// never negative when it comes from a configuration.
type Duration time.Duration

// Std is the duration for the standard library.
func (d Duration) Std() time.Duration { return time.Duration(d) }

type unit struct {
	name string
	size int64
}

// durationUnits in the order in which they may follow each other.
var durationUnits = []unit{
	{"y", int64(365 * 24 * time.Hour)},
	{"w", int64(7 * 24 * time.Hour)},
	{"d", int64(24 * time.Hour)},
	{"h", int64(time.Hour)},
	{"m", int64(time.Minute)},
	{"s", int64(time.Second)},
	{"ms", int64(time.Millisecond)},
}

// ParseDuration reads a duration in Prometheus' form. A lone 0 needs no unit.
func ParseDuration(s string) (Duration, error) {
	switch {
	case s == "0":
		return 0, nil
	case s == "":
		return 0, errors.New("is empty; write a duration such as 30s, 5m or 90d")
	case strings.HasPrefix(s, "-"):
		return 0, errors.New("is negative; write a duration such as 30s, 5m or 90d")
	}
	var total int64
	next := 0
	for rest := s; rest != ""; {
		digits, name, tail := splitUnit(rest)
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return 0, errors.New("is not a duration; write one such as 30s, 5m, 1h30m or 90d")
		}
		if name == "" {
			return 0, fmt.Errorf("has no unit; write %[1]ss for seconds or %[1]sm for minutes", digits)
		}
		at := indexUnit(durationUnits, name)
		if at < 0 {
			return 0, errors.New("has an unknown unit; the units are ms, s, m, h, d, w and y")
		}
		if at < next {
			return 0, errors.New("has its units out of order; write the largest first, each once")
		}
		if n > (math.MaxInt64-total)/durationUnits[at].size {
			return 0, errors.New("is too long; the longest is about 292y")
		}
		total += n * durationUnits[at].size
		next, rest = at+1, tail
	}
	return Duration(total), nil
}

// String writes the duration so that ParseDuration reads it again: 1h30m, 90d,
// 0s. What is smaller than a millisecond is cut off.
func (d Duration) String() string {
	if d < 0 {
		return "-" + (-d).String()
	}
	left := int64(d)
	var b strings.Builder
	for _, u := range durationUnits {
		// Prometheus writes weeks and years only where they are the whole.
		if (u.name == "y" || u.name == "w") && left%u.size != 0 {
			continue
		}
		if n := left / u.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			left -= n * u.size
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the duration as ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}

// Size is a number of bytes, written with a unit: 512, 16KiB, 4MiB, 1GB.
type Size int64

// sizeUnits, the largest first. KiB and its like are powers of 1024, kB and its
// like of 1000.
var sizeUnits = []unit{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"KB", 1e3},
	{"B", 1},
}

// ParseSize reads a size. A lone number is bytes.
func ParseSize(s string) (Size, error) {
	if strings.HasPrefix(s, "-") {
		return 0, errors.New("is negative; write a size such as 512, 16KiB or 4MiB")
	}
	digits, name, tail := splitUnit(s)
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || tail != "" {
		return 0, errors.New("is not a size; write a whole number with a unit, such as 512, 16KiB, 4MiB or 1GiB")
	}
	size := int64(1)
	if name = strings.TrimSpace(name); name != "" {
		at := indexUnit(sizeUnits, name)
		if at < 0 {
			return 0, errors.New("has an unknown unit; the units are KiB, MiB, GiB, TiB and kB, MB, GB, TB")
		}
		size = sizeUnits[at].size
	}
	if n > math.MaxInt64/size {
		return 0, errors.New("is too large")
	}
	return Size(n * size), nil
}

// String writes the size in the largest power of 1024 that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits[:4] {
		if s != 0 && int64(s)%u.size == 0 {
			return strconv.FormatInt(int64(s)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText writes the size as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the size as ParseSize does.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}

// splitUnit splits "1h30m" into "1", "h" and "30m".
func splitUnit(s string) (digits, name, rest string) {
	isDigit := func(r rune) bool { return r >= '0' && r <= '9' }
	isOther := func(r rune) bool { return !isDigit(r) }
	end := strings.IndexFunc(s, isOther)
	if end < 0 {
		return s, "", ""
	}
	digits, s = s[:end], s[end:]
	if end = strings.IndexFunc(s, isDigit); end < 0 {
		return digits, s, ""
	}
	return digits, s[:end], s[end:]
}

func indexUnit(units []unit, name string) int {
	for i, u := range units {
		if u.name == name {
			return i
		}
	}
	return -1
}
