package slacktest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// group is a group of check boxes of which the values are ticked.
func group(block string, values []string, ticked ...string) slackgo.Block {
	c := slackgo.NewCheckboxGroupsBlockElement("boxes")
	for _, v := range values {
		o := slackgo.NewOptionBlockObject(v, slackgo.NewTextBlockObject("plain_text", "Do "+v+" <b>", false, false), slackgo.NewTextBlockObject("plain_text", "note "+v, false, false))
		c.Options = append(c.Options, o)
		for _, on := range ticked {
			if on == v {
				c.InitialOptions = append(c.InitialOptions, o)
			}
		}
	}
	return slackgo.NewActionBlock(block, c)
}

// withBoxes posts two groups, and keeps the payloads of the clicks on them.
func withBoxes(t *testing.T) (s *slacktest.Server, a *app, c *slackgo.Client, ts string) {
	t.Helper()
	s, a = slacktest.New(), &app{t: t}
	s.AddUser(slacktest.User{ID: person, Name: "ana", RealName: "Ana"})
	s.AddUser(slacktest.User{ID: "U0BO00001", Name: "bo", RealName: "Bo"})
	s.AddChannel("incidents")
	s.SetCallbacks(slacktest.Callbacks{Secret: signing, Handler: a, Interactions: "http://app.test/interactions"})
	c = slackgo.New("xoxb", slackgo.OptionAPIURL(slacktest.URL), slackgo.OptionHTTPClient(s.Client()))
	_, ts, err := c.PostMessage("#incidents", slackgo.MsgOptionBlocks(group("one:1", []string{"a", "b"}, "b"), group("two:1", []string{"c"})))
	require.NoError(t, err)
	return s, a, c, ts
}

// ticked is what the latest click said.
func (a *app) ticked() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	action := a.clicks[len(a.clicks)-1].ActionCallback.BlockActions[0]
	var values []string
	for _, o := range action.SelectedOptions {
		values = append(values, o.Value)
	}
	return action.BlockID + " " + strings.Join(values, ",")
}

// TestCheckBoxes: each person's client says what it shows as ticked in one group,
// and knows nothing of the others until the message is another one.
func TestCheckBoxes(t *testing.T) {
	t.Parallel()
	s, a, c, ts := withBoxes(t)
	click := func(user string, choice ...string) string {
		_, err := s.Click("incidents", ts, user, "boxes", choice...)
		require.NoError(t, err)
		return a.ticked()
	}
	assert.Equal(t, "one:1 a,b", click(person, "a"))
	assert.Equal(t, "one:1 ", click("U0BO00001", "b"))
	assert.Equal(t, "one:1 a", click(person, "b"))
	assert.Equal(t, "two:1 c", click(person, "c"))
	assert.Equal(t, "one:1 a,b", click("U0BO00001", "a", "b"))
	_, _, _, err := c.UpdateMessage(s.Messages("incidents")[0].Channel, ts, slackgo.MsgOptionBlocks(group("one:2", []string{"a", "b"}, "a")))
	require.NoError(t, err)
	assert.Equal(t, "one:2 a,b", click("U0BO00001", "b"))
	for _, wrong := range [][]string{nil, {"z"}, {"a", "z"}} {
		_, err := s.Click("incidents", ts, person, "boxes", wrong...)
		require.Error(t, err, wrong)
	}
}

func TestCheckBoxesOnThePage(t *testing.T) {
	t.Parallel()
	s, a, _, ts := withBoxes(t)
	page := get(t, s.Client(), "http://slack.test/?channel=incidents")
	assert.Contains(t, page, `<input type="checkbox" data-action="boxes" value="b" checked>`)
	assert.Contains(t, page, `<input type="checkbox" data-action="boxes" value="a"><span>Do a &lt;b&gt;</span><small>note a</small>`)
	channel := s.Messages("incidents")[0].Channel
	// The page shows what the message says, whatever the person has ticked before.
	for _, c := range []struct {
		value   string
		checked bool
		says    string
	}{{"a", true, "one:1 a,b"}, {"a", true, "one:1 a,b"}, {"b", false, "one:1 a"}, {"a", false, "one:1 "}} {
		raw, err := json.Marshal(map[string]any{"channel": channel, "ts": ts, "user": person, "action": "boxes", "value": c.value, "checked": c.checked})
		require.NoError(t, err)
		resp, err := s.Client().Post("http://slack.test/click", "application/json", strings.NewReader(string(raw)))
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Contains(t, string(body), `"ok":true`)
		assert.Equal(t, c.says, a.ticked())
	}
}

func TestCheckBoxesThatSlackRefuses(t *testing.T) {
	t.Parallel()
	_, _, c, _ := withBoxes(t)
	eleven := strings.Split("a,b,c,d,e,f,g,h,i,j,k", ",")
	other := group("x", []string{"a", "b"})
	element := other.(*slackgo.ActionBlock).Elements.ElementSet[0].(*slackgo.CheckboxGroupsBlockElement)
	element.InitialOptions = []*slackgo.OptionBlockObject{slackgo.NewOptionBlockObject("a", slackgo.NewTextBlockObject("plain_text", "Other words", false, false), nil)}
	long := group("x", []string{"a"})
	long.(*slackgo.ActionBlock).Elements.ElementSet[0].(*slackgo.CheckboxGroupsBlockElement).Options[0].Description.Text = strings.Repeat("x", 76)
	for name, b := range map[string]slackgo.Block{
		"eleven options":                 group("x", eleven),
		"the same value twice":           group("x", []string{"a", "a"}),
		"a long text":                    group("x", []string{strings.Repeat("x", 76)}),
		"a long description":             long,
		"ticked what is not among them":  other,
		"none":                           group("x", nil),
		"mrkdwn where menus have plain":  slackgo.NewActionBlock("x", slackgo.NewOptionsSelectBlockElement("static_select", nil, "m", slackgo.NewOptionBlockObject("v", slackgo.NewTextBlockObject("mrkdwn", "x", false, false), nil))),
		"a value of 151 characters here": group("x", []string{strings.Repeat("v", 151)}),
	} {
		_, _, err := c.PostMessage("#incidents", slackgo.MsgOptionBlocks(b))
		require.ErrorContains(t, err, "invalid_blocks", name)
	}
}
