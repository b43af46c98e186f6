package live

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// Bounds on what is asked for one incident.
const (
	// AskTimeout is how long all questions together may take: a page does not wait
	// for them longer.
	AskTimeout = 2 * time.Second
	// MaxQuestions is how many are asked.
	MaxQuestions = 20
	// MaxShown is how many series of an answer are shown.
	MaxShown = 10
	// askAtOnce is how many of them are asked at the same time: half of what the
	// Client does, so that one page leaves room for another.
	askAtOnce = inFlight / 2
)

// langPromQL is the language of the fences that are asked.
const langPromQL = "promql"

// Question is an expression of which people want to see the values.
type Question struct {
	// Step counts the runbook's steps from 1; 0: it is the alert's own rule.
	Step int
	// Query counts the promql fences of the step from 1; of a rule it is 1.
	Query int
	// Text is what the step says, in one line; empty for a rule.
	Text string
	// Expr is the expression, filled in.
	Expr string
	// Unfilled are the placeholders in it that no label fills: it cannot be asked.
	Unfilled []string
}

// Why says why the question cannot be asked; empty: it can.
func (q *Question) Why() string {
	if len(q.Unfilled) > 0 {
		return "not asked: no label of the alert fills " + strings.Join(q.Unfilled, ", ")
	}
	if err := checkExpr(q.Expr); err != nil {
		return "not asked: " + err.Error()
	}
	return ""
}

// Questions are the rule's expression, where the generatorURL of the alert tells of
// one, and the promql fences of a runbook that is filled in, or nil, in their
// order.
func Questions(rb *tocsin.Runbook, generatorURL string) []Question {
	var out []Question
	if expr, ok := ExprOf(generatorURL); ok {
		out = append(out, Question{Query: 1, Expr: expr})
	}
	if rb == nil {
		return out
	}
	for n := range rb.Steps {
		s, query := &rb.Steps[n], 0
		for i := range s.Commands {
			c := &s.Commands[i]
			if !strings.EqualFold(c.Lang, langPromQL) {
				continue
			}
			query++
			out = append(out, Question{Step: n + 1, Query: query, Text: s.Short(), Expr: strings.TrimSpace(c.Text), Unfilled: c.Unfilled})
		}
	}
	return out
}

// Find returns the question of a step and query; nil: there is none.
func Find(list []Question, step, query int) *Question {
	for n := range list {
		if list[n].Step == step && list[n].Query == query {
			return &list[n]
		}
	}
	return nil
}

// Asked is a question with what came of it.
type Asked struct {
	Question
	// Series have one point each, the newest; at most MaxShown. More is how many
	// others there are.
	Series []Series
	More   int
	// Value is what an expression gives that has no series but a text.
	Value string
	// Warning of Prometheus: the answer may not be whole.
	Warning string
	// Why there are no values, in words; empty: there are.
	Why string
	// Answered tells that Prometheus has answered, if only with nothing.
	Answered bool
}

// Querier asks Prometheus. A Client is one.
type Querier interface {
	// Query asks what an expression is at a time; the zero time is now.
	Query(ctx context.Context, expr string, at time.Time) (Result, error)
}

// Ask asks what can be asked, a few at a time in the order of the list, and returns
// within AskTimeout, one Asked for each question: what has no answer by then says so.
func Ask(ctx context.Context, prom Querier, list []Question) []Asked {
	ctx, cancel := context.WithTimeout(ctx, AskTimeout)
	defer cancel()
	out := make([]Asked, len(list))
	slots := make(chan struct{}, askAtOnce)
	var all sync.WaitGroup
	for n := range list {
		a := &out[n]
		a.Question = list[n]
		switch a.Why = list[n].Why(); {
		case a.Why != "":
		case n >= MaxQuestions:
			a.Why = fmt.Sprintf("not asked: %d expressions are asked at most", MaxQuestions)
		default:
			select {
			case slots <- struct{}{}:
				all.Go(func() {
					defer func() { <-slots }()
					a.ask(ctx, prom)
				})
			case <-ctx.Done():
				a.Why = "not asked: the others took all the time that there is"
			}
		}
	}
	all.Wait()
	return out
}

func (a *Asked) ask(ctx context.Context, prom Querier) {
	r, err := prom.Query(ctx, a.Expr, time.Time{})
	if err != nil {
		a.Why = err.Error()
		return
	}
	a.Answered = true
	a.newest(&r)
}

// newest keeps the newest value of each series.
func (a *Asked) newest(r *Result) {
	if len(r.Warnings) > 0 {
		a.Warning = r.Warnings[0]
	}
	shown := r.Series[:min(len(r.Series), MaxShown)]
	for n := range shown {
		s := shown[n]
		s.Points = s.Points[len(s.Points)-1:]
		a.Series = append(a.Series, s)
	}
	a.More, a.Value = r.Total-len(shown), r.Text
	switch {
	case r.Type == TypeString, len(shown) > 0:
	case r.Histograms > 0:
		a.Why = "it gives native histograms, which are not shown; write histogram_quantile around it"
	default:
		a.Why = "it gives nothing now"
	}
}
