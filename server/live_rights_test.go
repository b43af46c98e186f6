package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// put adds an event as it is.
func (j *journal) put(e tocsin.Event) {
	j.mu.Lock()
	e.Seq, e.At = uint64(len(j.events)+1), now
	j.events = append(j.events, e)
	j.mu.Unlock()
	select {
	case j.changed <- struct{}{}:
	default:
	}
}

// lookingOn is a world with tokens, and a token of one team.
func lookingOn(t *testing.T) (*world, *keeper, *journal) {
	j := newJournal()
	w, k, _ := guarded(t, server.Config{NoLocal: true, ExternalURL: secure}, func(d *server.Deps) {
		d.Log, d.Changed = j, j.changed
		d.ChangesBefore = func(context.Context, *tocsin.Incident) ([]tocsin.Event, error) { return j.Log(t.Context(), 0, 1) }
		d.Bearer = func(t tocsin.Token) tocsin.Principal {
			p := tocsin.Principal{Name: t.Name, Role: t.Role}
			if t.Team != "" {
				p.Role, p.Teams, p.Receivers = tocsin.RoleNone, map[string]tocsin.Role{t.Team: t.Role}, map[string]tocsin.Role{t.Team: t.Role}
			}
			return p
		}
	})
	w.reader.detail.incident = &tocsin.Incident{ID: "k7f3q9", Receivers: []string{"platform"}, State: tocsin.Triggered, Severity: tocsin.Error}
	return w, k, j
}

func over(s *tap) bool {
	synctest.Wait()
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// A stream does not outlive the right to look on: a token that was revoked, a
// session that has ended, a role that was taken away.
func TestAStreamEndsWithTheRight(t *testing.T) {
	t.Parallel()
	for _, told := range []bool{true, false} {
		for _, path := range []string{"/events", "/api/v1/events"} {
			synctest.Test(t, func(t *testing.T) {
				w, k, j := lookingOn(t)
				token := w.follow(path, "Authorization", "Bearer tocsin_viewer")
				session := w.follow(path, "Cookie", "__Host-tocsin_session=session-responder")
				taken := w.follow(path, "Authorization", "Bearer tocsin_manager")
				stays := w.follow(path, "Authorization", "Bearer tocsin_admin")
				time.Sleep(time.Minute)
				assert.False(t, over(token) || over(session) || over(taken) || over(stays), "who may look on is not sent away")

				k.mu.Lock()
				k.err = errors.New("disk")
				k.mu.Unlock()
				time.Sleep(10 * time.Second)
				assert.False(t, over(token), "what cannot be looked up has not changed")
				k.mu.Lock()
				k.err = nil
				delete(k.tokens, "tocsin_viewer")
				delete(k.sessions, "session-responder")
				k.tokens["tocsin_manager"] = tocsin.Token{ID: "t-manager", Name: "manager", Role: tocsin.RoleIntake}
				k.mu.Unlock()
				for _, s := range []*tap{token, session, taken, stays} {
					s.take()
				}
				if told {
					j.put(tocsin.Event{Kind: tocsin.EventAccess, Text: "revoked"})
					time.Sleep(time.Second)
				} else {
					time.Sleep(5 * time.Second)
				}
				assert.True(t, over(token) && over(session) && over(taken), "%s, told: %v", path, told)
				assert.False(t, over(stays))
				for _, s := range []*tap{token, session, taken} {
					assert.NotContains(t, strings.ReplaceAll(s.take(), "event: beat\n", ""), "event:", "nothing more is told")
				}
				stays.leave()
				<-stays.done
			})
		}
	}
}

// What an event says of where it was done from, and of what was before and after,
// is told to those who may read the audit log, wherever events are told; and of
// other teams' incidents nothing is.
func TestWhereFromIsForManagers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, k, j := lookingOn(t)
		k.tokens["tocsin_platform"] = tocsin.Token{ID: "t1", Name: "wall", Team: "platform", Role: tocsin.RoleManager}
		k.tokens["tocsin_other"] = tocsin.Token{ID: "t2", Name: "other", Team: "other", Role: tocsin.RoleViewer}
		follow := func(token string) [2]*tap {
			return [2]*tap{w.follow("/api/v1/events", "Authorization", "Bearer "+token), w.follow("/events", "Authorization", "Bearer "+token)}
		}
		all := map[string][2]*tap{}
		for _, token := range []string{"tocsin_viewer", "tocsin_responder", "tocsin_manager", "tocsin_platform", "tocsin_other"} {
			all[token] = follow(token)
		}
		synctest.Wait()
		j.put(tocsin.Event{Kind: tocsin.EventNote, Incident: "k7f3q9", Text: "hello", Origin: "API from 10.0.3.7", Before: "was-so", After: "is-so"})
		j.put(tocsin.Event{Kind: tocsin.EventAccess, Text: "logged in as ana", Origin: "page from 10.0.3.7"})
		time.Sleep(2 * time.Second)
		for token, s := range all {
			text, page := s[0].take(), s[1].take()
			knows, sees := token == "tocsin_manager", token != "tocsin_other"
			assert.Equal(t, sees, contains(text, "hello"), token)
			assert.Equal(t, sees, contains(page, "k7f3q9"), token)
			for _, secret := range []string{"10.0.3.7", "was-so", "is-so", "logged in as ana"} {
				assert.Equal(t, knows, contains(text, secret), "%s: %s", token, secret)
				assert.NotContains(t, page, secret)
			}
			late := w.follow("/api/v1/events?after=0", "Authorization", "Bearer "+token)
			again := late.take()
			assert.Equal(t, sees, contains(again, "hello"), "what is caught up with: %s", token)
			assert.Equal(t, knows, contains(again, "10.0.3.7"), token)
			for _, s := range []*tap{late, s[0], s[1]} {
				s.leave()
				<-s.done
			}
		}
	})
}

// Every route that is registered is asked, so that a new one cannot be forgotten: an
// event that somebody reads says nothing of where from, but to a manager.
func TestNoRouteTellsWhereFrom(t *testing.T) {
	t.Parallel()
	w, _, j := lookingOn(t)
	secret := tocsin.Event{Kind: tocsin.EventNote, Incident: "k7f3q9", Text: "hello", Origin: "API from 10.0.3.7", Before: "was-so", After: "is-so", At: now}
	j.put(secret)
	w.reader.detail.events = []tocsin.Event{secret}
	told := map[string]bool{}
	w.foreign = true // parts that are missing are told in another way than those that are there
	for _, r := range w.Routes() {
		if r.Method != "GET" || contains(r.Path, "events") {
			continue
		}
		path := "/" + trimmed(r.Path)
		for _, role := range []string{"viewer", "responder", "manager"} {
			rec := w.ask("GET", path, "", "Authorization", "Bearer tocsin_"+role, "Host", "tocsin.example.com")
			if role == "manager" {
				told[r.Path] = contains(rec.Body.String(), "10.0.3.7")
				continue
			}
			for _, text := range []string{"10.0.3.7", "was-so", "is-so"} {
				assert.NotContains(t, rec.Body.String(), text, "%s as %s", path, role)
			}
		}
	}
	for _, path := range []string{"/api/v1/incidents/:id", "/incidents/:id", "/api/v1/incidents/:id/postmortem"} {
		assert.True(t, told[path], "a manager is told: %s", path)
	}
	var d struct{ Timeline []tocsin.Event }
	require.NoError(t, json.Unmarshal(w.ask("GET", "/api/v1/incidents/k7f3q9", "", "Authorization", "Bearer tocsin_viewer").Body.Bytes(), &d))
	assert.Equal(t, "hello", d.Timeline[0].Text)
	assert.Equal(t, "API from 10.0.3.7", w.reader.detail.events[0].Origin, "what is shared is not changed")
}

func contains(text, part string) bool { return strings.Contains(text, part) }

// trimmed is a route's path with something that is there in its place.
func trimmed(path string) string {
	return strings.TrimPrefix(strings.NewReplacer(":id", "k7f3q9", ":name", "x", ":file", "x.png", "*", "x").Replace(path), "/")
}

// Each way in has its share, and is told how long to wait.
func TestEachWayInHasAShare(t *testing.T) {
	t.Parallel()
	w, _, _ := guarded(t, server.Config{
		NoLocal: true, ExternalURL: secure, Limits: server.Limits{Requests: 2}, API: []server.Token{{Name: "ops", Token: "of-the-configuration"}},
		Proxy: server.Proxy{From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, UserHeader: "X-Forwarded-User"},
	})
	for how, header := range map[string][]string{
		"a token":                      {"Authorization", "Bearer tocsin_responder"},
		"a token of the configuration": {"Authorization", "Bearer of-the-configuration"},
		"a session":                    {"Cookie", "__Host-tocsin_session=session-responder"},
		"the proxy":                    {"X-Forwarded-User", "manager", "Remote", "192.0.2.1:1"},
	} {
		for range 4 {
			require.Equal(t, 200, w.ask("GET", "/api/v1/me", "", header...).Code, how)
		}
		rec := w.ask("POST", "/api/v1/silences", "{}", header...)
		require.Equal(t, 429, rec.Code, how)
		assert.Equal(t, "1", rec.Header().Get("Retry-After"), how)
		assert.Contains(t, refusal(t, rec).Error.Message, "wait", how)
	}
}
