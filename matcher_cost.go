package tocsin

import (
	"regexp/syntax"
	"strconv"
)

// MaxMatchers is the longest list of matchers that people and programs may send, in
// bytes, and MaxMatcherCost what the regular expressions in it may come to, in
// instructions of the compiled program: repetitions within a kilobyte can come to a
// million, which takes seconds and hundreds of megabytes to compile, before anything
// is matched.
const (
	MaxMatchers    = 16 << 10
	MaxMatcherCost = 5_000
)

// CheckMatchers returns ErrInvalid for matchers in Alertmanager's syntax that are too
// much to be compiled. It compiles nothing, and says nothing of what else is wrong.
func CheckMatchers(field string, texts ...string) error {
	length, cost := 0, 0
	for _, text := range texts {
		if length += len(text); length > MaxMatchers {
			return Invalid(field, "longer than %d bytes; use fewer, or shorter, matchers", MaxMatchers)
		}
		// Only in quotes may there be what repeats: elsewhere braces have another meaning.
		for text != "" {
			var quoted string
			quoted, text = cutQuoted(text)
			if cost += expressionCost(quoted); cost > MaxMatcherCost {
				return Invalid(field, "the regular expressions repeat too much; use smaller numbers in braces")
			}
		}
	}
	return nil
}

// cutQuoted returns the first text in double quotes, without them, and what follows.
func cutQuoted(text string) (quoted, rest string) {
	start := -1
	for i := 0; i < len(text); i++ {
		switch {
		case start < 0 && text[i] == '"':
			start = i
		case start < 0:
		case text[i] == '\\':
			i++
		case text[i] == '"':
			if plain, err := strconv.Unquote(text[start : i+1]); err == nil {
				return plain, text[i+1:]
			}
			return text[start+1 : i], text[i+1:]
		}
	}
	return "", ""
}

// expressionCost is about how many instructions an expression comes to; nothing for
// one that cannot be compiled.
func expressionCost(text string) int {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return 0
	}
	return costOf(re)
}

// runesPerCost is how many ranges of a class of characters count as an instruction.
const runesPerCost = 32

func costOf(re *syntax.Regexp) int {
	cost := 1
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass:
		return 1 + len(re.Rune)/runesPerCost
	default:
		for _, sub := range re.Sub {
			cost = min(cost+costOf(sub), MaxMatcherCost+1)
		}
	}
	if re.Op == syntax.OpRepeat { // a{2,} is a, and then a again and again
		cost = min(cost*max(re.Min+1, re.Max, 1), MaxMatcherCost+1)
	}
	return cost
}
