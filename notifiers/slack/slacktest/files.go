package slacktest

import (
	"cmp"
	"html"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Slack's limits of files
// (https://docs.slack.dev/reference/methods/files.getUploadURLExternal); the number
// that is kept is ours.
const (
	maxFileAlt = 1000
	maxFile    = 1 << 20
	maxFiles   = 200
)

// MethodUpload is the Fault.Method of the address that the bytes of a file are sent
// to.
const MethodUpload = "upload_url"

// Files are taken at one path, and given out at another.
const (
	uploadPath = "/upload/v1/"
	filePath   = "/files/"
)

// File is a file that was uploaded.
type File struct {
	ID, Name string
	// Title and Alt are what the upload called it.
	Title, Alt string
	Data       []byte
}

// file is one on its way: asked for, sent, shared.
type file struct {
	File
	length       int
	sent, shared bool
}

// files are those of a workspace, the oldest first. Server.mu guards them.
type files struct {
	byID     map[string]*file
	byUpload map[string]*file
	order    []string
}

type wireFile struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Title      string `json:"title"`
	Mimetype   string `json:"mimetype"`
	URLPrivate string `json:"url_private"`
}

func (f *file) wire() wireFile {
	return wireFile{f.ID, f.Name, f.Title, http.DetectContentType(f.Data), filePath + f.ID}
}

// fileAsk gives an address for a file
// (https://docs.slack.dev/reference/methods/files.getUploadURLExternal).
func (s *Server) fileAsk(c *call) answer {
	length, err := strconv.Atoi(c.arg("length"))
	switch {
	case c.arg("filename") == "" || err != nil || length <= 0:
		return failedWith("invalid_arguments", reply{ResponseMetadata: &responseMetadata{Messages: []string{"[ERROR] missing required field: filename or length"}}})
	case length > maxFile:
		return failed("file_upload_size_restricted")
	case utf8.RuneCountInString(c.arg("alt_txt")) > maxFileAlt:
		return failed("alt_txt_too_large")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &file{File: File{ID: s.newID('F'), Name: c.arg("filename"), Alt: c.arg("alt_txt")}, length: length}
	upload := uploadPath + strings.TrimPrefix(s.newID('U'), "U") + f.ID
	s.files.add(f, upload)
	return succeeded(struct {
		OK        bool   `json:"ok"`
		UploadURL string `json:"upload_url"`
		FileID    string `json:"file_id"`
	}{true, "http" + strings.TrimPrefix(c.self, "ws") + upload, f.ID})
}

func (l *files) add(f *file, upload string) {
	if l.byID == nil {
		l.byID, l.byUpload = map[string]*file{}, map[string]*file{}
	}
	l.byID[f.ID], l.byUpload[upload] = f, f
	if l.order = append(l.order, f.ID); len(l.order) > maxFiles {
		delete(l.byID, l.order[0])
		l.order = l.order[1:]
	}
}

// serveUpload takes the bytes of a file, as they are or in a form. It needs no token.
func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	f := s.faults.take(&call{method: MethodUpload}, now)
	s.record(Request{At: now, Method: MethodUpload, ContentType: r.Header.Get("Content-Type")})
	if f != nil && !s.upsets(w, r, f) {
		return
	}
	data, err := uploadedData(w, r)
	if err != nil {
		http.Error(w, "the file could not be read", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	to := s.files.byUpload[r.URL.Path]
	switch {
	case r.Method != http.MethodPost || to == nil:
		http.NotFound(w, r)
	case len(data) != to.length:
		http.Error(w, "the file has another length than was said", http.StatusBadRequest)
	default:
		to.Data, to.sent = data, true
		delete(s.files.byUpload, r.URL.Path)
		_, _ = io.WriteString(w, "OK - "+strconv.Itoa(len(data)))
	}
}

// upsets does what a fault says; false: it has answered.
func (s *Server) upsets(w http.ResponseWriter, r *http.Request, f *Fault) bool {
	if f.Delay > 0 {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		wait(r.Context(), s.closed, t.C)
	}
	if f.BlackHole {
		wait(r.Context(), s.closed, nil)
	}
	if f.BlackHole || f.DropAfter {
		panic(http.ErrAbortHandler) // the documented way to cut a connection
	}
	a, faulty := f.answer()
	if faulty {
		a.write(w)
	}
	return !faulty
}

func uploadedData(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFile+1<<16)
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		return io.ReadAll(r.Body)
	}
	part, _, err := r.FormFile("filename")
	if err != nil {
		return nil, err
	}
	defer func() { _ = part.Close() }()
	return io.ReadAll(part)
}

// fileShare shows files that were sent
// (https://docs.slack.dev/reference/methods/files.completeUploadExternal).
func (s *Server) fileShare(c *call) answer {
	var list []struct {
		ID    string `json:"id"`
		Title string `json:"title"`
	}
	if err := json.Unmarshal(c.value("files"), &list); err != nil || len(list) == 0 {
		return failed("invalid_arguments")
	}
	blocks, ans, ok := readBlocks(c.value("blocks"))
	if !ok {
		return ans
	}
	s.mu.Lock()
	var shared []*file
	for _, one := range list {
		f := s.files.byID[one.ID]
		if f == nil || !f.sent || f.shared {
			s.mu.Unlock()
			return failed("file_not_found") // a second time too: "This method can only be called once"
		}
		f.Title = cmp.Or(one.Title, f.Name)
		shared = append(shared, f)
	}
	code := s.shareFiles(c, shared, blocks)
	s.mu.Unlock()
	if code != "" {
		return failed(code)
	}
	s.watch.notify()
	return succeeded(map[string]any{"ok": true, "files": list})
}

// shareFiles posts the files where the call says; without a channel they stay
// private. The caller holds s.mu.
func (s *Server) shareFiles(c *call, shared []*file, blocks jsontext.Value) (code string) {
	if id := c.arg("channel_id"); id != "" {
		ch := s.channels[id] // by ID alone
		switch {
		case ch == nil || ch.private && !ch.member:
			return "channel_not_found"
		case ch.archived:
			return "is_archived"
		case !ch.member: // chat:write.public is for messages alone
			return "not_in_channel"
		}
		m := &message{ts: s.newTS(c.now), user: BotUserID, botID: BotID, text: c.arg("initial_comment"), mrkdwn: true, files: shared}
		if m.text == "" {
			m.blocks = blocks
		}
		s.attach(ch, m, c.arg("thread_ts"))
		s.add(ch, m)
	}
	for _, f := range shared {
		f.shared = true
	}
	return ""
}

// serveFile gives out what was shared.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	id, isFile := strings.CutPrefix(r.URL.Path, filePath)
	s.mu.Lock()
	f := s.files.byID[id]
	found := isFile && f != nil && f.shared
	s.mu.Unlock()
	if !found {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", http.DetectContentType(f.Data))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	_, _ = w.Write(f.Data)
}

// file shows a file as the page does.
func (r *render) file(f *File) {
	r.out.WriteString(`<figure class="file"><figcaption>`)
	r.out.WriteString(html.EscapeString(f.Title))
	r.out.WriteString(`</figcaption><img src="` + html.EscapeString(filePath+f.ID) + `" alt="` + html.EscapeString(f.Alt) + `"></figure>`)
}
