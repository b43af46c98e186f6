package slacktest_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

func TestMrkdwn(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                            "plain",
		"*b* _i_ ~s~ `c`":                  "<b>b</b> <i>i</i> <s>s</s> <code>c</code>",
		"a*b*c snake_case_name 2 * 3 * 4":  "a*b*c snake_case_name 2 * 3 * 4",
		"*a _b_*":                          "<b>a <i>b</i></b>",
		"`*a* <https://x.example>`":        "<code>*a* &lt;https://x.example&gt;</code>",
		"one\ntwo":                         "one<br>two",
		"&gt; said":                        "<blockquote> said</blockquote>",
		"&lt;!channel&gt; &amp;amp;":       "&lt;!channel&gt; &amp;amp;",
		"```\na &amp;&amp; *b*\n```":       "<pre>a &amp;&amp; *b*</pre>",
		"x ```y``` z":                      "x <pre>y</pre> z",
		"``` open":                         "``` open",
		"<script>alert(1)</script>":        "&lt;script&gt;alert(1)&lt;/script&gt;",
		"<!date^0^{date_num} {time}|then>": `<time title="then">1970-01-01 00:00</time>`,
		"<https://x.example/?a=1&amp;b=2|X &amp; Y>": `<a rel="noopener noreferrer" target="_blank" href="https://x.example/?a=1&amp;b=2">X &amp; Y</a>`,
		"<javascript:alert(1)|x>":                    "&lt;javascript:alert(1)|x&gt;",
		`<https://x.example/"onclick=x|y>`:           `<a rel="noopener noreferrer" target="_blank" href="https://x.example/&#34;onclick=x">y</a>`,
		"<!channel>":                                 `<span class="mention">@channel</span>`,
		"<@U1|ana>":                                  `<span class="mention">ana</span>`,
	} {
		got := slacktest.Message{Text: in}.See().HTML
		assert.Equal(t, `<div class="section">`+want+`</div>`, string(got), in)
	}
	seen := slacktest.Message{Text: "<!here> <@U1> https://a.example <https://b.example|b>"}.See()
	assert.Equal(t, []string{"!here", "@U1"}, seen.Mentions)
	assert.Equal(t, []string{"https://a.example", "https://b.example"}, seen.Links)
	quiet := slacktest.Message{Blocks: jsontext.Value(`[{"type":"section","text":{"type":"mrkdwn","text":"https://a.example","verbatim":true}}]`)}.See()
	assert.Empty(t, quiet.Links)
}

func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'self'")
	return string(raw)
}

func TestPage(t *testing.T) {
	t.Parallel()
	s := slacktest.New()
	assert.Contains(t, get(t, s.Client(), "http://slack.test/"), "No channels yet")
	s.AddChannel("alpha")
	s.AddChannel("<script>x")
	ts := s.Say("alpha", "U<b>", "<img src=x onerror=alert(1)> *hello*", "")
	s.Say("alpha", "U2", "a reply", ts)
	page := get(t, s.Client(), "http://slack.test/?channel=alpha")
	assert.Contains(t, page, "<b>hello</b>")
	assert.Contains(t, page, "a reply")
	assert.Contains(t, page, "1 reply")
	assert.NotContains(t, page, "<img")
	assert.NotContains(t, page, "<script>x")
	fragment := get(t, s.Client(), "http://slack.test/fragment?channel=alpha")
	assert.NotContains(t, fragment, "<html")
	assert.Contains(t, fragment, "<b>hello</b>")
}

func TestPageIsTold(t *testing.T) {
	t.Parallel()
	s := slacktest.New()
	s.AddChannel("alpha")
	server := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); server.Close() })
	resp, err := http.Get(server.URL + "/events")
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	assert.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	lines := make(chan string, 16)
	go func() {
		for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
			if strings.HasPrefix(sc.Text(), "data:") {
				lines <- sc.Text()
			}
		}
		close(lines)
	}()
	for range 2 {
		select {
		case <-lines:
			s.Say("alpha", "U1", "news", "")
		case <-time.After(5 * time.Second):
			require.Fail(t, "the page was not told")
		}
	}
}
