package slack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/tocsin-oncall/tocsin"
)

// A file is put into a thread with three calls
// (https://docs.slack.dev/messaging/working-with-files#upload): Slack is asked for an
// address, the bytes are sent there, and the file is shared. Only the last one shows
// anything. An image block of the message that names the file (slack_file) would need
// the file to be shared and looked over by Slack first, which takes it seconds or
// longer; until then it refuses the whole message with invalid_blocks
// (https://github.com/slackapi/java-slack-sdk/issues/1349).

// Slack's limits of a file.
const (
	maxAltText = 1000
	maxTitle   = 250
	pngName    = "graph.png"
)

// Picture is a drawing, and what it shows in words.
type Picture struct {
	// PNG is the file.
	PNG []byte
	// Title stands above it, and Alt is for who cannot see it. Both are texts from
	// outside, and plain.
	Title, Alt string
}

// uploaded is a file that nobody sees yet.
type uploaded struct{ id, title string }

// upload brings the picture to Slack, where it is seen by nobody and forgotten if it
// is not shared.
func (c *Client) upload(ctx context.Context, p *Picture) (uploaded, error) {
	rec, err := c.recorded(ctx, methodAskFile, func(ctx context.Context) error {
		_, err := c.api.GetUploadURLExternalContext(ctx, slackgo.GetUploadURLExternalParameters{
			FileName: pngName, FileSize: len(p.PNG), AltTxt: escape(p.Alt, maxAltText, plain),
		})
		return err
	})
	if err != nil {
		return uploaded{}, err
	}
	f := uploaded{id: rec.answer.FileID, title: escape(p.Title, maxTitle, plain)}
	if f.id == "" || !c.mayUpload(rec.answer.UploadURL) {
		return uploaded{}, errors.New("slack " + methodAskFile + ": the answer names no file, or no https address to send it to")
	}
	return f, c.sendFile(ctx, rec.answer.UploadURL, p.PNG)
}

// mayUpload reports whether a file is sent to an address that Slack gave: over https,
// as everything is, or beside the Web API that is configured.
func (c *Client) mayUpload(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Host == "" {
		return false
	}
	own, err := url.Parse(c.base)
	return u.Scheme == "https" || err == nil && own.Scheme == u.Scheme && own.Host == u.Host
}

// sendFile sends the bytes. The address itself is the permission: no token goes
// along.
func (c *Client) sendFile(ctx context.Context, address string, data []byte) error {
	const method = "upload_url"
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(data))
	if err != nil {
		return tocsin.Permanent(errors.New("slack upload_url: it is not valid"))
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.http.Do(req)
	if err != nil {
		return c.classifyNetwork(method, err, &record{})
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody)) // so that the connection is used again
	e := &apiError{method: method, status: resp.StatusCode}
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusTooManyRequests:
		return tocsin.RetryAfter(e, retryAfter(resp.Header.Get("Retry-After"), time.Now()))
	default:
		return e
	}
}

// share shows an uploaded file in a thread. It can be done once.
func (c *Client) share(ctx context.Context, f uploaded, thread place) error {
	err := c.call(ctx, methodAddFile, func(ctx context.Context) error {
		_, err := c.api.CompleteUploadExternalContext(ctx, slackgo.CompleteUploadExternalParameters{
			Files: []slackgo.FileSummary{{ID: f.id, Title: f.title}}, Channel: thread.channel, ThreadTimestamp: thread.ts,
		})
		return err
	})
	if code := codeOf(err); code == "channel_not_found" || code == "not_in_channel" || code == "invalid_channel" {
		return fmt.Errorf("%w: files are shared only where the bot is a member", err)
	}
	return err
}
