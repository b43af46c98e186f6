package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	tocsin "github.com/tocsin-oncall/tocsin"
	"github.com/tocsin-oncall/tocsin/server"
)

// browser is a real one, driven over a pipe
// (https://chromedevtools.github.io/devtools-protocol/, --remote-debugging-pipe).
type browser struct {
	t    *testing.T
	to   io.Writer
	from *bufio.Reader
	last int
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium on this machine: the script is not tried in a real browser")
	}
	dir, err := os.MkdirTemp("", "tocsin-browser") // it may still write there when it has ended: t.TempDir would fail the test
	require.NoError(t, err)
	theirs, to, err := os.Pipe()
	require.NoError(t, err)
	from, ours, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
		"--remote-debugging-pipe", "--user-data-dir="+dir, "about:blank")
	cmd.ExtraFiles = []*os.File{theirs, ours}
	cmd.WaitDelay = 5 * time.Second
	require.NoError(t, cmd.Start())
	theirs.Close()
	ours.Close()
	b := &browser{t: t, to: to, from: bufio.NewReader(from)}
	t.Cleanup(func() {
		b.send("", "Browser.close", map[string]any{})
		_ = cmd.Wait() // it was told to end
		to.Close()
		from.Close()
		_ = os.RemoveAll(dir) // what is left there is the machine's to clear
	})
	return b
}

// send asks for something.
func (b *browser) send(session, method string, params map[string]any) {
	b.t.Helper()
	b.last++
	message := map[string]any{"id": b.last, "method": method, "params": params}
	if session != "" {
		message["sessionId"] = session
	}
	data, err := json.Marshal(message)
	require.NoError(b.t, err)
	_, err = b.to.Write(append(data, 0))
	require.NoError(b.t, err)
}

// try asks for something and returns the answer, or what was wrong; events are not
// listened to.
func (b *browser) try(session, method string, params map[string]any) (result, wrong map[string]any) {
	b.t.Helper()
	b.send(session, method, params)
	for {
		text, err := b.from.ReadBytes(0)
		require.NoError(b.t, err, method)
		var answer struct {
			ID     int
			Result map[string]any
			Error  map[string]any
		}
		require.NoError(b.t, json.Unmarshal(text[:len(text)-1], &answer))
		if answer.ID == b.last {
			return answer.Result, answer.Error
		}
	}
}

func (b *browser) call(session, method string, params map[string]any) map[string]any {
	b.t.Helper()
	result, wrong := b.try(session, method, params)
	require.Empty(b.t, wrong, method)
	return result
}

// tab is one page in the browser.
type tab struct {
	*browser
	session string
}

func (b *browser) open(url string) *tab {
	b.t.Helper()
	target := b.call("", "Target.createTarget", map[string]any{"url": url, "newWindow": true}) // a tab behind another one follows nothing
	at := b.call("", "Target.attachToTarget", map[string]any{"targetId": target["targetId"], "flatten": true})
	s := &tab{b, at["sessionId"].(string)}
	s.call(s.session, "Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true})
	s.until("document.readyState === 'complete'")
	return s
}

// eval returns what an expression gives.
func (s *tab) eval(expr string) any {
	s.t.Helper()
	r := s.call(s.session, "Runtime.evaluate", map[string]any{"expression": expr, "returnByValue": true, "awaitPromise": true})
	require.Nil(s.t, r["exceptionDetails"], expr)
	return r["result"].(map[string]any)["value"]
}

// until waits for an expression to be true.
func (s *tab) until(expr string) {
	s.t.Helper()
	end := time.Now().Add(30 * time.Second)
	for {
		// Between two pages there is nothing to ask, and half a page has not everything.
		r, wrong := s.try(s.session, "Runtime.evaluate", map[string]any{"expression": expr, "returnByValue": true})
		if v, _ := r["result"].(map[string]any); wrong == nil && v["value"] == true {
			return
		}
		if time.Now().After(end) {
			require.Fail(s.t, "never true: "+expr, s.eval("document.documentElement.outerHTML"))
		}
		<-time.After(20 * time.Millisecond)
	}
}

// pressUntil presses a key until an expression is true: before it has painted, a
// new window drops what is pressed.
func (s *tab) pressUntil(key, expr string) {
	s.t.Helper()
	for range 10 {
		s.press(key)
		for range 100 {
			if s.eval(expr) == true {
				return
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	s.until(expr)
}

// press presses a key as a keyboard does.
func (s *tab) press(key string) {
	s.t.Helper()
	text := key
	if len(key) > 1 {
		text = "\r"
	}
	s.call(s.session, "Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "key": key, "text": text})
	s.call(s.session, "Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key})
}

// acting is a store of one incident that actions change, and that says so.
type acting struct {
	*router
	reader
	mu      sync.Mutex
	journal *journal
}

func (a *acting) Get(_ context.Context, id string) (*tocsin.Incident, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if id != a.detail.incident.ID {
		return nil, tocsin.ErrNotFound
	}
	return a.detail.incident.Clone(), nil
}

func (a *acting) List(context.Context, tocsin.Filter) ([]*tocsin.Incident, error) {
	inc, err := a.Get(context.Background(), a.detail.incident.ID)
	return []*tocsin.Incident{inc}, err
}

func (a *acting) AlertsOf(context.Context, string, int) ([]tocsin.AlertRecord, error) {
	return a.detail.alerts, nil
}

func (a *acting) Timeline(context.Context, string, uint64, int) ([]tocsin.Event, error) {
	return a.detail.events, nil
}

func (a *acting) Act(_ context.Context, id string, action tocsin.Action) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	inc := a.detail.incident
	if err := action.If(inc); err != nil {
		return err
	}
	switch action.Kind {
	case tocsin.ActAcknowledge:
		inc.Acknowledge("bo-"+action.By, now)
	case tocsin.ActStep:
		inc.Progress = inc.Progress.With(tocsin.StepProgress{Step: action.RunbookStep, Number: 1, Status: action.Status, By: action.By, At: now, Note: action.Text})
	}
	inc.Touch(now)
	a.journal.add(id)
	return nil
}

// What one does, the browser of the other shows by itself, and says; and the keys
// do what they are for.
func TestTwoBrowsersStayInStep(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	j := newJournal()
	a := &acting{router: &router{}, journal: j}
	from := withIncident(t, server.Config{})
	a.detail = from.reader.detail
	a.detail.incident.State, a.detail.incident.AcknowledgedBy = tocsin.Triggered, ""
	rb := &tocsin.Runbook{ID: a.detail.incident.Runbook, Title: "Node down", Steps: []tocsin.Step{
		{ID: "s1", Text: "Look", Commands: []tocsin.Command{{Lang: "bash", Text: "ssh node-3\n"}}}, {ID: "s2", Text: "Restart"},
	}}
	w := newWorld(t, server.Config{}, func(d *server.Deps) {
		d.Log, d.Changed, d.Reader, d.Actions, d.Runbooks = j, j.changed, a, a, library{rb.ID: rb}
	})
	w.run(t)
	b := newBrowser(t)
	watch, list := b.open(w.url("/incidents/k7f3q9")), b.open(w.url("/"))

	// By keyboard alone, in the list.
	list.pressUntil("?", "document.querySelector('dialog').open")
	list.eval("document.querySelector('dialog button').click()")
	list.press("j")
	assert.Equal(t, "/incidents/k7f3q9", list.eval("document.activeElement.getAttribute('href')"))
	list.press("a")
	list.until("document.body.textContent.includes('Acknowledged the ones selected.')")

	watch.until("document.querySelector('#status').textContent.includes('bo-page')")
	watch.until("document.querySelector('#said').textContent.startsWith('Now acknowledged by bo-page')")
	assert.Equal(t, "Take over", watch.eval("document.querySelector('#do-acknowledge').textContent"))

	// What is being typed stays, while the rest goes on.
	watch.eval("document.querySelector('#abouts2').focus()")
	watch.eval("document.execCommand('insertText', false, 'half a th')")
	other := b.open(w.url("/incidents/k7f3q9"))
	other.eval("document.querySelector('#dones1').click()")
	other.until("document.body.textContent.includes('The step is marked.')")
	watch.until("document.querySelector('#steps1').className.includes('step-done')")
	assert.Equal(t, "half a th", watch.eval("document.querySelector('#abouts2').value"))
	assert.Equal(t, "abouts2", watch.eval("document.activeElement.id"))

	// What is copied is the command alone: a newline would run it.
	b.call("", "Browser.grantPermissions", map[string]any{"origin": w.url(""), "permissions": []string{"clipboardReadWrite", "clipboardSanitizedWrite"}})
	other.eval("document.querySelector('[data-copy]').click()")
	other.until("document.querySelector('[data-copy]').textContent === 'Copied'")

	// At 360 px nothing is wider than the screen.
	other.call(other.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true})
	list.call(list.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true})
	for _, s := range []*tab{other, list} {
		s.until("innerWidth === 360")
		assert.LessOrEqual(t, s.eval("document.documentElement.scrollWidth"), 360.0, s.eval("location.pathname"))
	}
}
