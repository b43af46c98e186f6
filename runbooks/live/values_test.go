package live_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/live"
	"github.com/tocsin-oncall/tocsin/runbooks/live/livetest"
)

func TestQuestionsOfARunbook(t *testing.T) {
	t.Parallel()
	rb := &tocsin.Runbook{Steps: []tocsin.Step{
		{Text: "Look", Commands: []tocsin.Command{{Lang: "promql", Text: "\nup == 0\n"}, {Lang: "bash", Text: "ls"}, {Lang: "PromQL", Text: "x"}}},
		{Text: "Do", Commands: []tocsin.Command{{Lang: "bash", Text: "ls"}}},
		{Text: "Look again", Commands: []tocsin.Command{{Lang: "promql", Text: `up{a="<b>"}`, Unfilled: []string{"<b>"}}}},
	}}
	list := live.Questions(rb, "http://p/graph?g0.expr=up+%3D%3D+0")
	require.Equal(t, []live.Question{
		{Query: 1, Expr: "up == 0"},
		{Step: 1, Query: 1, Text: "Look", Expr: "up == 0"},
		{Step: 1, Query: 2, Text: "Look", Expr: "x"},
		{Step: 3, Query: 1, Text: "Look again", Expr: `up{a="<b>"}`, Unfilled: []string{"<b>"}},
	}, list)
	assert.Equal(t, "x", live.Find(list, 1, 2).Expr)
	assert.Nil(t, live.Find(list, 2, 1))
	assert.Contains(t, list[3].Why(), "<b>")
	assert.Empty(t, list[0].Why())
	assert.Empty(t, live.Questions(nil, "not a link"))
}

func TestAskingForAnIncident(t *testing.T) {
	t.Parallel()
	prom, client := fake(t, live.Config{})
	var many []livetest.Series
	for n := range 14 {
		many = append(many, livetest.Constant(float64(n), livetest.Labels{"n": fmt.Sprint(n)}))
	}
	prom.Set("many", many...)
	got := live.Ask(t.Context(), client, []live.Question{
		{Query: 1, Expr: "many"}, {Step: 1, Query: 1, Expr: "none"}, {Step: 2, Query: 1, Expr: "up", Unfilled: []string{"$NODE"}}, {Step: 3, Query: 1, Expr: " "},
	})
	require.Len(t, got, 4)
	assert.Len(t, got[0].Series, live.MaxShown)
	assert.Equal(t, 4, got[0].More)
	assert.Empty(t, got[0].Why)
	assert.Equal(t, "it gives nothing now", got[1].Why)
	assert.Contains(t, got[2].Why, "$NODE")
	assert.Contains(t, got[3].Why, "empty")
	for _, q := range prom.Asked() {
		assert.Contains(t, []string{"many", "none"}, q.Expr, "what is not filled in is not asked")
	}

	prom.Fail(livetest.Fault{Type: "bad_data", Text: "parse error: unexpected end of input", Warnings: nil})
	assert.Equal(t, "Prometheus says: bad_data: parse error: unexpected end of input", live.Ask(t.Context(), client, []live.Question{{Expr: "up{"}})[0].Why)
	prom.Fail(livetest.Fault{Warnings: []string{"a store is away"}})
	assert.Equal(t, "a store is away", live.Ask(t.Context(), client, []live.Question{{Expr: "many"}})[0].Warning)
	raw(prom, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}`)
	assert.Contains(t, live.Ask(t.Context(), client, []live.Question{{Expr: "h"}})[0].Why, "histogram")
	raw(prom, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"2"]]}]}}`)
	s := live.Ask(t.Context(), client, []live.Question{{Expr: "up[1m]"}})[0].Series
	require.Len(t, s, 1)
	require.Len(t, s[0].Points, 1)
	assert.Equal(t, 2.0, s[0].Points[0].Value, "the newest")
	raw(prom, `{"status":"success","data":{"resultType":"string","result":[1,"text"]}}`)
	said := live.Ask(t.Context(), client, []live.Question{{Expr: `"text"`}})[0]
	assert.Equal(t, "text", said.Value)
	assert.Empty(t, said.Why)
}

// hangs answers when nobody waits any more, but for one expression.
type hangs struct{ now, most atomic.Int32 }

func (h *hangs) Query(ctx context.Context, expr string, _ time.Time) (live.Result, error) {
	if expr == "quick" {
		return live.Result{Type: live.TypeScalar, Total: 1, Series: []live.Series{{Points: []live.Point{{Value: 1}}}}}, nil
	}
	n := h.now.Add(1)
	defer h.now.Add(-1)
	for most := h.most.Load(); n > most && !h.most.CompareAndSwap(most, n); most = h.most.Load() {
	}
	select {
	case <-ctx.Done():
		return live.Result{}, errors.New("did not answer in time")
	case <-time.After(30 * time.Second):
		return live.Result{}, nil
	}
}

func TestAHangingPrometheusTakesTwoSecondsAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var list []live.Question
		for n := range 30 {
			list = append(list, live.Question{Step: n + 1, Query: 1, Expr: strings.Repeat("x", n+1)})
		}
		list[0].Expr = "quick"
		prom, begun := &hangs{}, time.Now()
		got := live.Ask(t.Context(), prom, list)
		assert.Equal(t, live.AskTimeout, time.Since(begun))
		assert.LessOrEqual(t, prom.most.Load(), int32(4), "a few at a time")
		assert.Len(t, got[0].Series, 1, "what answered is there")
		late := 0
		for _, a := range got[1:] {
			assert.NotEmpty(t, a.Why)
			if strings.Contains(a.Why, "in time") {
				late++
			}
		}
		assert.Positive(t, late)
		assert.Contains(t, got[29].Why, "20 expressions")
	})
}
