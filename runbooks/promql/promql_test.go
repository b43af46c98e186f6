package promql_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-oncall/tocsin/runbooks/promql"
)

func TestPlaceOf(t *testing.T) {
	t.Parallel()
	for before, want := range map[string]promql.Place{
		``:                                   promql.Value,
		`up{node=`:                           promql.Value,
		`up{node=~`:                          promql.Regexp,
		"up{node!~ ":                         promql.Regexp,
		`label_replace(up, `:                 promql.Value,
		`label_replace(up, "a", `:            promql.Replacement,
		`label_replace(up, "a", "$1", `:      promql.Value,
		`label_replace(up, "a", "$1", "b", `: promql.Regexp,
		"label_replace(up{a=\"),,\"}, 'a,\\'(', `$1,`, \"b\", ":                    promql.Regexp,
		"label_replace ( # why, not\n sum by (a, b) (up), \"a\", \"$1\", \"b\",\n": promql.Regexp,
		`LABEL_REPLACE(rate(up[5m]), "a", "x", "b", `:                              promql.Regexp,
		`label_replace(label_replace(up, "a", "b", "c", "d"), "a", `:               promql.Replacement,
		`label_replace(up, "a", "b", "c", "d") == on(a) foo{b=`:                    promql.Value,
		`label_replace(up{a="b", c=`:                                               promql.Value,
		`label_join(up, "a", "-", "b", `:                                           promql.Value,
		`other label_replacer(up, "a", "b", "c", `:                                 promql.Value,
		`label_replace(up, "a", "unended`:                                          promql.Replacement,
		`)))`:                                                                      promql.Value,
	} {
		assert.Equal(t, want, promql.PlaceOf(before), before)
	}
}

func FuzzPlaceOf(f *testing.F) {
	f.Add(`label_replace(up, "a", "$1", "b", "`)
	f.Add("#\n(`")
	f.Fuzz(func(t *testing.T, before string) {
		assert.Contains(t, []promql.Place{promql.Value, promql.Regexp, promql.Replacement}, promql.PlaceOf(before))
	})
}
