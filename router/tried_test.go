package router_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/router"
)

func TestTriedSaysWhyARouteDidNotTakeIt(t *testing.T) {
	t.Parallel()
	spec := router.Spec{Targets: targets("rest", "eu", "copy", "page", "late"), Route: router.RouteSpec{Receiver: "rest", Pos: "t.yml:1", Routes: []router.RouteSpec{
		{Receiver: "eu", Matchers: []string{`region="eu"`, `zone=~"a|b"`}, Pos: "t.yml:2", Routes: []router.RouteSpec{{Receiver: "rest", Pos: "t.yml:3"}}},
		{Receiver: "copy", Matchers: []string{`alertname="NodeDown"`}, Continue: true, Pos: "t.yml:4"},
		{Receiver: "page", Matchers: []string{`region="us"`}, Pos: "t.yml:5"},
		{Receiver: "late", Pos: "t.yml:6"},
	}}}
	rules, err := router.NewRules(spec)
	require.NoError(t, err)
	a := alert("NodeDown", "us", "a")
	var said []string
	for _, r := range rules.Tried(&a, start) {
		said = append(said, fmt.Sprintf("%s %v %s", r.Pos, r.Takes, r.Not))
	}
	assert.Equal(t, []string{
		"t.yml:1 false left to the route below it at t.yml:5",
		`t.yml:2 false region is "us", not region="eu"; it has no label zone, not zone=~"a|b"`,
		"t.yml:4 true ",
		"t.yml:5 true ",
		"t.yml:6 false not tried: the route at t.yml:5 took it, and does not say continue: true",
	}, said)
}

// Whatever the tree, the routes that are said to take an alert are those that take it,
// and of every other one it is said why not.
func TestTriedAgreesWithTheRouter(t *testing.T) {
	t.Parallel()
	var tree func(t *rapid.T, depth int) router.RouteSpec
	line := 0
	tree = func(t *rapid.T, depth int) router.RouteSpec {
		line++
		r := router.RouteSpec{Receiver: "page", Pos: fmt.Sprint("t.yml:", line), Continue: rapid.Bool().Draw(t, "continue")}
		if m := rapid.SampledFrom([]string{"", `region="us"`, `region="eu"`, `alertname=~"Node.*"`}).Draw(t, "matcher"); m != "" {
			r.Matchers = []string{m}
		}
		if depth > 0 {
			for range rapid.IntRange(0, 3).Draw(t, "routes") {
				r.Routes = append(r.Routes, tree(t, depth-1))
			}
		}
		return r
	}
	rapid.Check(t, func(t *rapid.T) {
		line = 0
		root := tree(t, 3)
		root.Matchers, root.Continue = nil, false
		rules, err := router.NewRules(router.Spec{Route: root, Targets: targets("page")})
		require.NoError(t, err)
		a := tocsin.Alert{Labels: tocsin.Labels{"alertname": "NodeDown", "region": rapid.SampledFrom([]string{"us", "eu", ""}).Draw(t, "region")}}
		var want, got []string
		for _, r := range rules.Explain(&a, start).Routes {
			want = append(want, r.Pos)
		}
		for _, r := range rules.Tried(&a, start) {
			if r.Takes {
				got = append(got, r.Pos)
			}
			require.Equal(t, r.Takes, r.Not == "", "%+v", r)
		}
		require.ElementsMatch(t, want, got)
	})
}
