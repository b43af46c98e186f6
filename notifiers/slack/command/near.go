package command

import "strings"

// nearest returns the one of some names that was probably meant, or "".
func nearest(s string, names []string) string {
	s = strings.ToLower(s)
	best, least := "", max(1, min(len(s), 24)/3)+1
	for _, n := range names {
		if d := distance(s, strings.ToLower(n), least); d < least {
			best, least = n, d
		}
	}
	if best != "" || len(s) < 2 {
		return best
	}
	for _, n := range names {
		if strings.HasPrefix(strings.ToLower(n), s) {
			if best != "" {
				return ""
			}
			best = n
		}
	}
	return best
}

// meant is the end of a sentence that says what was not found.
func meant(s string, names []string) string {
	if near := nearest(s, names); near != "" {
		return ". Did you mean " + quote(near) + "?"
	}
	const most = 20
	if len(names) == 0 || len(names) > most {
		return "."
	}
	shown := make([]string, 0, len(names))
	for _, n := range names {
		shown = append(shown, name(n))
	}
	return "; there are " + strings.Join(shown, ", ") + "."
}

// distance counts the insertions, deletions, replacements and swaps of neighbours
// between a and b; lengths that differ by limit or more are not looked into.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
