package slack

import (
	"github.com/prometheus/alertmanager/matcher/parse"

	"github.com/tocsin-oncall/tocsin"
)

// Written returns matchers in the form in which tocsin.SilenceScope has them, one
// each. It returns tocsin.Invalid for one that cannot be read.
func Written(matchers []string) ([]string, error) {
	if err := tocsin.CheckMatchers("matchers", matchers...); err != nil {
		return nil, err
	}
	var out []string
	for _, text := range matchers {
		ms, err := parse.Matchers(text)
		if err != nil {
			return nil, tocsin.Invalid("matchers", "%v", err)
		}
		for _, m := range ms {
			out = append(out, m.String())
		}
	}
	return out, nil
}

// MaySilence reports whether somebody has the right over a silence of the matchers,
// however they are written.
func MaySilence(who *tocsin.Principal, right tocsin.Right, matchers []string) bool {
	if who.May(right) {
		return true
	}
	written, err := Written(matchers)
	return err == nil && who.MaySilence(right, written)
}
