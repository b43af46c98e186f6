package config

import (
	"fmt"
	"regexp"
	"strings"
)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expandEnv replaces ${NAME} by the environment's value and $$ by $. A $ before
// anything else stays as it is, so that a regular expression may end in one.
// What lookup returns is not expanded again. used lists the values that were
// put in.
func expandEnv(s string, lookup func(string) (string, bool)) (out string, used []string, err error) {
	var b strings.Builder
	for {
		at := strings.IndexByte(s, '$')
		if at < 0 || at == len(s)-1 {
			b.WriteString(s)
			return b.String(), used, nil
		}
		b.WriteString(s[:at])
		s = s[at:]
		switch s[1] {
		case '$':
			b.WriteByte('$')
			s = s[2:]
		case '{':
			name, rest, ok := strings.Cut(s[2:], "}")
			if !ok || !envName.MatchString(name) {
				return "", used, fmt.Errorf("has ${ without the name of an environment variable and }; write ${NAME}, or $${ for a literal ${")
			}
			value, ok := lookup(name)
			if !ok {
				return "", used, fmt.Errorf("needs the environment variable %s, which is not set; set it, or write $${%s} if that text is meant", name, name)
			}
			b.WriteString(value)
			used = append(used, value)
			s = rest
		default:
			b.WriteByte('$')
			s = s[1:]
		}
	}
}
