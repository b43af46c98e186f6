package slacktest_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-oncall/tocsin/notifiers/slack/slacktest"
)

// The whole life of a file, as slack-go drives it.
func TestFiles(t *testing.T) {
	t.Parallel()
	s := slacktest.New(slacktest.WithToken("all"), slacktest.WithToken("none", "chat:write"))
	id := s.AddChannel("alpha")
	api := slackgo.New("all", slackgo.OptionAPIURL(slacktest.URL), slackgo.OptionHTTPClient(s.Client()))
	ctx, data := t.Context(), []byte("\x89PNG\r\n\x1a\nabc")
	ask := func(name, alt string, length int) (*slackgo.GetUploadURLExternalResponse, error) {
		return api.GetUploadURLExternalContext(ctx, slackgo.GetUploadURLExternalParameters{FileName: name, FileSize: length, AltTxt: alt})
	}
	send := func(url string, body []byte) int {
		resp, err := s.Client().Post(url, "application/octet-stream", bytes.NewReader(body))
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode
	}
	share := func(file, channel, thread string) error {
		_, err := api.CompleteUploadExternalContext(ctx, slackgo.CompleteUploadExternalParameters{
			Files: []slackgo.FileSummary{{ID: file, Title: "<b>load"}}, Channel: channel, ThreadTimestamp: thread,
		})
		return err
	}
	_, err := slackgo.New("none", slackgo.OptionAPIURL(slacktest.URL), slackgo.OptionHTTPClient(s.Client())).GetUploadURLExternalContext(ctx,
		slackgo.GetUploadURLExternalParameters{FileName: "a", FileSize: 1})
	assert.EqualError(t, err, "missing_scope")
	_, err = ask("a.png", strings.Repeat("a", 1001), 1)
	assert.EqualError(t, err, "alt_txt_too_large")
	_, err = ask("a.png", "", 2<<20)
	assert.EqualError(t, err, "file_upload_size_restricted")
	_, err = ask("a.png", "", -1)
	assert.EqualError(t, err, "invalid_arguments")

	f, err := ask("graph.png", `"load`, len(data))
	require.NoError(t, err)
	assert.Equal(t, 400, send(f.UploadURL, data[1:]), "another length")
	assert.Equal(t, 404, send(f.UploadURL+"x", data))
	require.EqualError(t, share(f.FileID, id, ""), "file_not_found", "nothing was sent yet")
	assert.Equal(t, 200, send(f.UploadURL, data))
	assert.Equal(t, 404, send(f.UploadURL, data), "an address is good once")
	require.EqualError(t, share(f.FileID, "alpha", ""), "channel_not_found", "IDs alone")
	s.SetMember("alpha", false)
	require.EqualError(t, share(f.FileID, id, ""), "not_in_channel")
	s.SetPrivate("alpha", true)
	require.EqualError(t, share(f.FileID, id, ""), "channel_not_found")
	s.SetMember("alpha", true)
	ts := s.Say("alpha", "U1", "it burns", "")
	assert.Equal(t, 404, status(t, s.Client(), "http://slack.test/files/"+f.FileID), "nobody sees it yet")
	require.NoError(t, share(f.FileID, id, ts))
	require.EqualError(t, share(f.FileID, id, ts), "file_not_found", "once")

	m := s.Messages("alpha")
	require.Len(t, m, 1)
	require.Len(t, m[0].Replies, 1)
	require.Equal(t, []slacktest.File{{ID: f.FileID, Name: "graph.png", Title: "<b>load", Alt: `"load`, Data: data}}, m[0].Replies[0].Files)
	replies, _, _, err := api.GetConversationRepliesContext(ctx, &slackgo.GetConversationRepliesParameters{ChannelID: id, Timestamp: ts})
	require.NoError(t, err)
	require.Len(t, replies[1].Files, 1)
	assert.Equal(t, "image/png", replies[1].Files[0].Mimetype)
	page := get(t, s.Client(), "http://slack.test/?channel=alpha")
	assert.Contains(t, page, `<img src="/files/`+f.FileID+`" alt="&#34;load">`)
	assert.Contains(t, page, "&lt;b&gt;load")
	resp, err := s.Client().Get("http://slack.test/files/" + f.FileID)
	require.NoError(t, err)
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, data, got)
	assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "sandbox")

	s.Fault(slacktest.Fault{Method: slacktest.MethodUpload, Status: 503, Count: 1})
	f, err = ask("graph.png", "", len(data))
	require.NoError(t, err)
	assert.Equal(t, 503, send(f.UploadURL, data))
	s.Fault(slacktest.Fault{Method: slacktest.MethodUpload, DropAfter: true, Count: 1})
	_, err = s.Client().Post(f.UploadURL, "application/octet-stream", bytes.NewReader(data))
	require.Error(t, err)
	assert.Equal(t, 200, send(f.UploadURL, data))
	require.NoError(t, share(f.FileID, "", ""), "it may stay private")
	assert.Equal(t, 2, s.Count("alpha"))
}

func status(t *testing.T, client *http.Client, url string) int {
	t.Helper()
	resp, err := client.Get(url)
	require.NoError(t, err)
	_ = resp.Body.Close()
	return resp.StatusCode
}
