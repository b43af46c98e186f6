package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// AuditQuery selects from the audit log.
type AuditQuery struct {
	tocsin.AuditFilter
	// After: only records with a Seq above it.
	After uint64
	// Last: that many of the newest, up to 1000; 0: all, oldest first.
	Last int
}

// Audit returns the audit log as lines, which tocsin.ParseAuditLine reads; without
// a filter they can be verified. The caller closes it. It takes as long as the log
// is long, or until ctx ends.
func (c *Client) Audit(ctx context.Context, q AuditQuery) (io.ReadCloser, error) {
	req, err := c.request(ctx, http.MethodGet, "/api/v1/audit?"+q.values().Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := answered(c.patient().o.HTTP.Do(req))
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// VerifyAudit has the server verify its audit log. sought, unless zero, is a head
// that was written down before. It takes as long as the log is long.
func (c *Client) VerifyAudit(ctx context.Context, sought tocsin.AuditHash) (r tocsin.AuditReport, err error) {
	path := "/api/v1/audit/verify"
	if sought != (tocsin.AuditHash{}) {
		path += "?head=" + sought.String()
	}
	return r, c.patient().Get(ctx, path, &r)
}

func (q *AuditQuery) values() url.Values {
	v := url.Values{}
	if q.After > 0 {
		v.Set("after", strconv.FormatUint(q.After, 10))
	}
	if q.Last > 0 {
		v.Set("last", strconv.Itoa(q.Last))
	}
	for name, text := range map[string]string{"actor": q.Actor, "kind": string(q.Kind)} {
		if text != "" {
			v.Set(name, text)
		}
	}
	for name, t := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !t.IsZero() {
			v.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	return v
}
