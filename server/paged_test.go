package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// manyRuns is remedies with many runs.
type manyRuns struct {
	medicine
	list []tocsin.Remediation
}

func (m *manyRuns) Remediations(context.Context, string) ([]tocsin.Remediation, error) {
	return m.list, nil
}

// TestListsGoOn goes through each list that grows, part by part: each item comes
// once, in the order of the whole list, whatever leaves it meanwhile.
func TestListsGoOn(t *testing.T) {
	t.Parallel()
	k, many, over := &keeper{tokens: map[string]tocsin.Token{}, sessions: map[string]tocsin.Session{}}, &manyRuns{}, &rota{}
	w := newWorld(t, server.Config{}, func(d *server.Deps) { d.Tokens, d.Sessions, d.Overrides, d.Remedies = k, k, over, many })
	for n := range 25 {
		at := now.Add(time.Duration(n/2) * time.Hour)
		w.router.silences = append(w.router.silences, tocsin.Silence{
			ID: fmt.Sprintf("s%05d", n), Matchers: []string{`a="b"`}, StartsAt: now, EndsAt: at.Add(time.Hour), CreatedBy: "ana", Comment: "c",
		})
		k.tokens[fmt.Sprint(n)] = tocsin.Token{ID: fmt.Sprintf("t%05d", 25-n), Name: []string{"ci", "c"}[n%2], Role: tocsin.RoleViewer, CreatedAt: at}
		k.sessions[fmt.Sprint(n)] = tocsin.Session{ID: fmt.Sprintf("e%05d", n), Identity: tocsin.Identity{Name: "ana"}, CreatedAt: at}
		over.overrides = append(over.overrides, tocsin.Override{ID: fmt.Sprintf("o%05d", n), Kind: tocsin.OverrideReplace, State: tocsin.OverrideActive})
		run := dose
		run.ID, run.ProposedAt = fmt.Sprintf("r%05d", n), at
		many.list = append(many.list, run)
	}
	for _, name := range []string{"silences", "remediations", "overrides", "tokens", "sessions"} {
		t.Run(name, func(t *testing.T) {
			base := "/api/v1/" + name
			whole, next := partOf(t, w, base, name)
			assert.Empty(t, next)
			require.Len(t, whole, 25)
			var got []string
			path := base + "?limit=10"
			for n := 0; ; n++ {
				require.Less(t, n, 5, "it does not end")
				part, next := partOf(t, w, path, name)
				got = append(got, part...)
				if next == "" {
					break
				}
				path = base + "?limit=10&after=" + url.QueryEscape(next)
			}
			assert.Equal(t, whole, got)
			assert.Equal(t, 400, w.ask("GET", base+"?after=%21", "").Code)
			assert.Equal(t, 400, w.ask("GET", base+"?limit=1001", "").Code)
		})
	}
	newest, _ := partOf(t, w, "/api/v1/remediations?limit=1", "remediations")
	assert.Equal(t, []string{"r00024"}, newest)
}

func partOf(t *testing.T, w *world, path, name string) (ids []string, next string) {
	t.Helper()
	rec := w.ask("GET", path, "")
	require.Equal(t, 200, rec.Code, rec.Body.String())
	var answer map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &answer))
	var list []struct{ ID string }
	require.NoError(t, json.Unmarshal(answer[name], &list))
	for _, v := range list {
		ids = append(ids, v.ID)
	}
	if answer["next"] != nil {
		require.NoError(t, json.Unmarshal(answer["next"], &next))
	}
	return ids, next
}
