package remediation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/runbooks/remediation"
)

func TestAutoRunsVerifiesAndSaysSo(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		s.world.prints = "stopping\nstarting\n"
		before := time.Now()
		id := s.burn("node-3")
		r := s.one(id)
		assert.Equal(s, tocsin.RemediationVerified, r.State)
		assert.Equal(s, "node-3", r.Target)
		assert.Equal(s, map[string]string{"node": "node-3"}, r.Parameters)
		assert.Equal(s, s.world.cmds[0].Argv, r.Argv, "what is told is what is executed")
		assert.Equal(s, []string{"restart-node node-3"}, s.world.runs())
		assert.Equal(s, []string{restart, "--node", "node-3"}, s.world.cmds[0].Argv)
		assert.Equal(s, []string{"KUBECONFIG=/etc/tocsin/kubeconfig"}, s.world.cmds[0].Environment)
		assert.Nil(s, s.world.cmds[0].Stdin)
		assert.Equal(s, sum, s.world.cmds[0].SHA256)
		assert.WithinDuration(s, before, r.StartedAt, 0, "an offer is not waited with")
		assert.Equal(s, "landlock 7", r.Sandbox)
		assert.EqualValues(s, 18, r.OutputBytes)
		_, output, err := s.engine.Get(context.Background(), r.ID)
		require.NoError(s, err)
		assert.Equal(s, "stopping\nstarting\n", output)
		assert.Equal(s, []string{
			"restart-node on node-3: starts by itself",
			`restart-node on node-3: started; precheck: [1] for up{instance="node-3"} == 0`,
			"restart-node on node-3: exited with 0; has it helped?",
			`restart-node on node-3: it has helped: [1] for up{instance="node-3"} == 1`,
		}, s.said(id))
		assert.Empty(s, s.world.titles())
		inc, err := s.store.Get(context.Background(), id)
		require.NoError(s, err)
		assert.EqualValues(s, 5, inc.Revision, "messages show each step")

		s.engine.Offer(context.Background(), id)
		s.pass(time.Hour)
		assert.Len(s, s.world.runs(), 1, "once for an incident and a target")
	}, remedy(tocsin.ModeAuto))
}

func TestNobodyOffersAndItIsFoundAllTheSame(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		id := s.smoulder("node-3")
		s.pass(6 * time.Second)
		assert.Equal(s, tocsin.RemediationVerified, s.one(id).State)
	}, remedy(tocsin.ModeAuto))
}

func TestNotedIsOfferedWithTheCommit(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		s.engine.Note("inc001")
		id := s.smoulder("node-3")
		synctest.Wait()
		assert.Empty(s, s.all(id))
		s.engine.Committed()
		synctest.Wait()
		assert.Equal(s, tocsin.RemediationVerified, s.one(id).State)
	}, remedy(tocsin.ModeAuto))
}

func TestStillBadIsRolledBackOnce(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		s.world.helps = false
		id := s.burn("node-3")
		assert.Equal(s, tocsin.RemediationVerifying, s.one(id).State)
		s.pass(110 * time.Second)
		assert.Equal(s, tocsin.RemediationVerifying, s.one(id).State)
		s.pass(time.Hour)
		r := s.one(id)
		assert.Equal(s, tocsin.RemediationRolledBack, r.State)
		assert.Equal(s, []string{"restart-node node-3", "undo node-3"}, s.world.runs())
		assert.Equal(s, 2*time.Minute, r.EndedAt.Sub(r.StartedAt))
		assert.Equal(s, []string{"remedy restart-node on node-3 needs somebody: it has not helped; rolled back"}, s.world.titles())
		assert.Equal(s, []string{"team"}, s.world.pages[0].Receivers)
		assert.Contains(s, s.world.pages[0].Text, "exited with 0")
	}, remedy(tocsin.ModeAuto))
}

func TestEnds(t *testing.T) {
	t.Parallel()
	noRollback := func(s *remediation.Spec) { s.Contract.Rollback = remediation.Rollback{} }
	noVerify := func(s *remediation.Spec) { s.Contract.Verify = remediation.Verify{} }
	commands := func(s *remediation.Spec) {
		s.Contract.Verify = remediation.Verify{Check: remediation.Check{Command: []string{isUp, "{{node}}"}, SHA256: sum}}
	}
	for name, c := range map[string]struct {
		spec  remediation.Spec
		world func(*world)
		want  tocsin.RemediationState
		runs  string
		page  string
		why   string
	}{
		"nothing to undo": {
			spec: remedy(tocsin.ModeAuto, noRollback), world: func(w *world) { w.helps = false },
			want: tocsin.RemediationNotFixed, runs: "restart-node node-3", page: "it has not helped", why: "verify says no",
		},
		"it fails": {
			spec: remedy(tocsin.ModeAuto), world: func(w *world) { w.exit = 3 },
			want: tocsin.RemediationRolledBack, runs: "restart-node node-3, undo node-3", page: "rolled back", why: "rolled back",
		},
		"it fails and is well all the same": {
			spec: remedy(tocsin.ModeAuto), world: func(w *world) {
				w.exit = 3
				w.began = func(string) { w.set(func() { w.up["node-3"] = true }) }
			},
			want: tocsin.RemediationVerified, runs: "restart-node node-3", why: "it has failed, and what it was for is well all the same",
		},
		"too long": {
			spec: remedy(tocsin.ModeAuto, noRollback), world: func(w *world) { w.takes = time.Hour },
			want: tocsin.RemediationNotFixed, runs: "restart-node node-3", page: "it has not helped", why: "verify says no",
		},
		"the rollback fails": {
			spec: remedy(tocsin.ModeAuto), world: func(w *world) { w.exit, w.undoExit = 3, 4 },
			want: tocsin.RemediationNotFixed, runs: "restart-node node-3, undo node-3", page: "the rollback failed", why: "it exited with 4",
		},
		"without verify, well": {
			spec: remedy(tocsin.ModeAuto, noVerify), world: func(*world) {},
			want: tocsin.RemediationVerified, runs: "restart-node node-3", why: "exited with 0",
		},
		"without verify, failed": {
			spec: remedy(tocsin.ModeAuto, noVerify, noRollback), world: func(w *world) { w.exit = 1 },
			want: tocsin.RemediationNotFixed, runs: "restart-node node-3", page: "it has not helped", why: "exited with 1",
		},
		"verified by a command": {
			spec: remedy(tocsin.ModeAuto, commands), world: func(*world) {},
			want: tocsin.RemediationVerified, runs: "restart-node node-3", why: "it has helped: exit code 0",
		},
		"not verified by a command": {
			spec: remedy(tocsin.ModeAuto, commands), world: func(w *world) { w.helps = false },
			want: tocsin.RemediationRolledBack, runs: "restart-node node-3, undo node-3", page: "rolled back", why: "rolled back",
		},
		"Prometheus is dead": {
			spec: remedy(tocsin.ModeAuto), world: func(w *world) { w.dead = true },
			want: tocsin.RemediationRefused, page: "nobody answers its precheck", why: "not run: the precheck has no answer: connection refused",
		},
		"Prometheus dies": {
			spec: remedy(tocsin.ModeAuto), world: func(w *world) { w.began = func(string) { w.set(func() { w.dead = true }) } },
			want: tocsin.RemediationUnknown, runs: "restart-node node-3", page: "its outcome is unknown", why: "nobody can tell whether it has helped: connection refused",
		},
		"the precheck says no": {
			spec: remedy(tocsin.ModeAuto), world: func(w *world) { w.up["node-3"] = true },
			want: tocsin.RemediationRefused, why: "not run: the precheck says no",
		},
		"another file": {
			spec: remedy(tocsin.ModeAuto), world: func(w *world) { w.refuses = fmt.Errorf("%w: sha256 is another", remediation.ErrNotStarted) },
			want: tocsin.RemediationRefused, page: "not run: not started: sha256 is another", why: "not run: not started: sha256 is another",
		},
		"nobody knows": {
			spec: remedy(tocsin.ModeAuto), world: func(w *world) { w.refuses = fmt.Errorf("wait: no child") },
			want: tocsin.RemediationUnknown, page: "its outcome is unknown", why: "nobody knows how it ended: wait: no child",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, func(s *stage) {
				id := s.smoulder("node-3")
				c.world(s.world)
				s.engine.Offer(context.Background(), id)
				s.pass(2 * time.Hour)
				r := s.one(id)
				assert.Equal(s, c.want, r.State, r.Why)
				assert.Contains(s, r.Why, c.why)
				assert.Equal(s, c.runs, strings.Join(s.world.runs(), ", "))
				assert.Contains(s, strings.Join(s.world.titles(), "; "), c.page)
				if c.page == "" {
					assert.Empty(s, s.world.titles())
				}
				assert.False(s, r.EndedAt.IsZero())
				assert.Equal(s, c.want, r.Log[len(r.Log)-1].State)
			}, c.spec)
		})
	}
}

func TestAlertGoneBeforeTheStartIsNotRun(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]func(s *stage, id string){
		"the alert":    func(s *stage, id string) { s.calm(id, "node-3") },
		"the incident": func(s *stage, id string) { s.resolve(id) },
		"it came back": func(s *stage, id string) {
			s.edit(id, func(inc *tocsin.Incident) {
				inc.Resolve("ana", "resolved", time.Now())
				inc.Reopen("again", time.Now())
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, func(s *stage) {
				id := s.burn("node-3")
				r := s.one(id)
				require.Equal(s, tocsin.RemediationProposed, r.State)
				gone(s, id)
				_, err := s.engine.Approve(context.Background(), r.ID, "ana")
				require.ErrorIs(s, err, tocsin.ErrConflict)
				got, _, err := s.engine.Get(context.Background(), r.ID)
				require.NoError(s, err)
				assert.Equal(s, tocsin.RemediationExpired, got.State)
				s.pass(time.Minute)
				assert.Empty(s, s.world.runs())
			}, remedy(tocsin.ModeApprove))
		})
		t.Run(name+", between the approval and the start", func(t *testing.T) {
			t.Parallel()
			play(t, func(s *stage) {
				s.halt()
				s.slots = 1
				s.start()
				first := s.smoulder("node-1")
				id := s.smoulder("node-3")
				s.world.takes = 20 * time.Second
				s.engine.Offer(context.Background(), first) // takes the only slot
				synctest.Wait()
				s.engine.Offer(context.Background(), id)
				synctest.Wait()
				require.Equal(s, tocsin.RemediationApproved, s.one(id).State)
				gone(s, id)
				s.pass(time.Minute)
				list := s.all(id)
				assert.Equal(s, tocsin.RemediationExpired, list[len(list)-1].State, list[len(list)-1].Why)
				for _, ran := range s.world.runs() {
					if name != "it came back" {
						assert.NotContains(s, ran, "node-3")
					}
				}
			}, remedy(tocsin.ModeAuto))
		})
	}
}

func TestSuppressedAlertsAreNotRemedied(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		id := s.smoulder("node-3")
		a := alertOf("node-3")
		require.NoError(s, s.store.Update(context.Background(), func(tx tocsin.Tx) error {
			st, _ := tx.Alert(a.ID())
			st.Suppression = &tocsin.Suppression{Reason: tocsin.Silenced, By: "x", Text: "silenced by bo"}
			tx.PutAlert(st, nil)
			return nil
		}))
		s.engine.Offer(context.Background(), id)
		s.pass(time.Minute)
		assert.Empty(s, s.all(id))
		_, err := s.engine.Start(context.Background(), id, "restart-node", "", "ana")
		require.NoError(s, err, "somebody who asks knows what they do")
		synctest.Wait()
		assert.Equal(s, tocsin.RemediationVerified, s.one(id).State)
	}, remedy(tocsin.ModeAuto))
}

func TestValuesThatDoNotFitAreNotRunAndSaidSo(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		id := s.burn("'; rm -rf / #", "-rf", "node-1")
		s.pass(time.Minute)
		assert.Equal(s, []string{"restart-node node-1"}, s.world.runs())
		assert.Equal(s, map[tocsin.RemediationState]int{tocsin.RemediationRefused: 2, tocsin.RemediationVerified: 1}, states(s.all(id)))
		text := strings.Join(s.said(id), "\n")
		assert.Contains(s, text, `restart-node on "'; rm -rf / #": not run: label instance does not match`)
		assert.Contains(s, text, `restart-node on "-rf": not run: label instance begins with a dash`)
	}, remedy(tocsin.ModeAuto))
	play(t, func(s *stage) {
		id := s.burn("node-1")
		assert.Equal(s, "not run: label job is missing", s.one(id).Why)
		assert.Empty(s, s.world.runs())
	}, remedy(tocsin.ModeAuto, func(s *remediation.Spec) {
		s.Parameters = append(s.Parameters, remediation.Parameter{Name: "job"})
	}))
}

func TestStdinIsTheAlert(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		id := s.burn("node-3")
		var in map[string]any
		require.NoError(s, json.Unmarshal(s.world.cmds[0].Stdin, &in))
		assert.Equal(s, map[string]any{
			"remedy": "restart-node", "incident": id, "target": "node-3", "parameters": map[string]any{"node": "node-3"},
			"alert": map[string]any{
				"labels":      map[string]any{"alertname": "NodeDown", "instance": "node-3"},
				"annotations": map[string]any{"summary": "node-3 is down"},
			},
		}, in)
	}, remedy(tocsin.ModeAuto, func(s *remediation.Spec) { s.Stdin = remediation.StdinJSON }))
}

func TestOutputIsCappedRedactedAndLive(t *testing.T) {
	t.Parallel()
	secret := []byte("hunter2hunter2")
	play(t, func(s *stage) {
		s.halt()
		s.redact = func(b []byte) []byte { return bytes.ReplaceAll(b, secret, []byte("[secret]")) }
		s.start()
		s.world.prints = "begins\npassword " + string(secret) + "\n" + strings.Repeat("many lines\n", 100_000) + "half a li"
		s.world.takes = 10 * time.Second
		id := s.burn("node-3")
		s.pass(1500 * time.Millisecond)
		r := s.one(id)
		require.Equal(s, tocsin.RemediationStarted, r.State)
		_, live, err := s.engine.Get(context.Background(), r.ID)
		require.NoError(s, err)
		assert.Contains(s, live, "password [secret]\n")
		assert.True(s, strings.HasSuffix(live, "many lines\n"), "a line that is not whole is held back")
		s.pass(time.Minute)
		r, text, err := s.engine.Get(context.Background(), r.ID)
		require.NoError(s, err)
		assert.EqualValues(s, len(s.world.prints), r.OutputBytes)
		assert.LessOrEqual(s, len(text), 64<<10+100)
		assert.True(s, strings.HasPrefix(text, "begins\npassword [secret]\n"))
		assert.True(s, strings.HasSuffix(text, "half a li"))
		assert.Contains(s, text, "bytes left out")
	}, remedy(tocsin.ModeAuto))
}

func TestPlanDoesNothing(t *testing.T) {
	t.Parallel()
	play(t, func(s *stage) {
		id := s.smoulder("node-3", "node-4")
		_, err := s.engine.Plan(context.Background(), id, "restart-node", "")
		require.ErrorIs(s, err, tocsin.ErrInvalid)
		require.ErrorContains(s, err, "node-3, node-4")
		p, err := s.engine.Plan(context.Background(), id, "restart-node", "node-3")
		require.NoError(s, err)
		assert.Equal(s, tocsin.RemedyPlan{
			Remedy: "restart-node", Incident: id, Target: "node-3",
			Argv: []string{restart, "--node", "node-3"}, Environment: []string{"KUBECONFIG=/etc/tocsin/kubeconfig"},
			Matched:  []string{`alertname="NodeDown"`, `node = "node-3" (label instance)`},
			Precheck: `yes: [1] for up{instance="node-3"} == 0`,
			Budget:   "budget: 0 of 1 runs on node-3 in 1h; budget: 0 of 1 targets in 1h (10 % of 2)",
			Sandbox:  "landlock 7",
		}, p)
		_, err = s.engine.Plan(context.Background(), id, "nothing", "")
		require.ErrorIs(s, err, tocsin.ErrNotFound)
		require.NoError(s, s.engine.Stop(context.Background(), "", "bo"))
		s.world.set(func() { s.world.up["node-3"] = true })
		p, err = s.engine.Plan(context.Background(), id, "restart-node", "node-3")
		require.NoError(s, err)
		require.Len(s, p.Refused, 2)
		assert.Contains(s, p.Refused[0], "the precheck says no")
		assert.Contains(s, p.Refused[1], "stopped by bo")
		assert.Empty(s, s.world.runs())
		assert.Empty(s, s.all(id))
	}, remedy(tocsin.ModeSuggest, func(s *remediation.Spec) {
		s.Contract.Budget.PerTarget.Runs = 1
		s.Contract.Budget.Fleet = remediation.FleetAllowance{Percent: 10, Of: "count(up)"}
	}))
}
