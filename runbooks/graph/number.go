package graph

import (
	"math"
	"strconv"
	"strings"
)

// Number writes a value for people, in three significant digits: 0.0123, 12.3,
// 4.56k, 7.89G, 1e+21, NaN, +Inf.
func Number(v float64) string {
	abs := math.Abs(v)
	switch {
	case v == 0:
		return "0"
	case abs < 1000 || abs >= 1e18 || math.IsNaN(v):
		return round(v)
	}
	for _, unit := range "kMGTP" {
		v /= 1000
		// 999.6 rounds to 1000, which is 1 of the next unit.
		if s := round(v); unit == 'P' || math.Abs(v) < 999.5 {
			return s + string(unit)
		}
	}
	return round(v)
}

// round writes three digits, and no fewer than a whole number has.
func round(v float64) string {
	s := strconv.FormatFloat(v, 'g', 3, 64)
	if abs := math.Abs(v); abs >= 999.5 && abs < 1e6 {
		s = strconv.FormatFloat(v, 'f', 0, 64)
	}
	if strings.Contains(s, ".") && !strings.Contains(s, "e") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
