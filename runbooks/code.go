package runbooks

import (
	"slices"
	"strings"

	"github.com/tocsin-oncall/tocsin"
)

// group is a part of a code block: what its comment says, and its commands.
type group struct {
	comment, text string
}

// isShell reports whether a language is one whose commands a shell runs. A
// fence without a language is taken for one: that is the careful reading when
// values are filled in.
func isShell(lang string) bool {
	switch lang {
	case "", "sh", "bash", "shell", "zsh", "ksh", "dash", "ash", "console", "terminal",
		"shell-session", "shellsession", "sh-session", "bash-session", "session", "cli":
		return true
	}
	return false
}

// isProse reports whether a fence of such a language shows something instead
// of being run.
func isProse(lang string) bool {
	switch lang {
	case "text", "txt", "plaintext", "plain", "output", "log", "logs", "none", "mermaid",
		"dot", "diff", "markdown", "md", "csv", "tsv", "html", "xml":
		return true
	}
	return false
}

// splitCode divides a code block at the comments of its top level, so that each
// part says what it does. Blocks that are one thing stay one: scripts with a
// shebang, documents, and what does not read as a shell command.
func splitCode(lang, code string) []group {
	switch {
	case strings.HasPrefix(code, "#!"):
		return []group{{text: code}}
	case isShell(lang) && transcript(code):
		return splitTranscript(code)
	case isShell(lang) && (lang != "" || looksShell(code)):
		return splitShell(code)
	case lang == "promql" || lang == "logql":
		return splitAt(code, "# ")
	case strings.HasSuffix(lang, "sql"):
		return splitAt(code, "-- ")
	}
	return []group{{text: code}}
}

// splitShell begins a part at each comment that stands at the start of a line,
// outside of quotes, here-documents and compound commands.
func splitShell(code string) []group {
	lx := lexShell(code)
	if !lx.ok {
		return []group{{text: code}}
	}
	var p parts
	offset, nest := 0, 0
	for line := range strings.Lines(code) {
		clean := nest == 0 && (offset == 0 || lx.modes[offset-1] == modePlain && lx.depth[offset-1] == 0)
		text := strings.TrimRight(line, "\n")
		if clean && strings.HasPrefix(text, "#") {
			p.comment(text)
		} else {
			p.add(text)
			nest = max(0, nest+compound(text, lx, offset))
		}
		offset += len(line)
	}
	return p.done()
}

// compound is by how much a line changes the nesting of compound commands.
func compound(line string, lx lexed, offset int) int {
	n := 0
	for _, w := range shellWord().FindAllStringIndex(line, -1) {
		if lx.modes[offset+w[0]] != modePlain {
			continue
		}
		switch line[w[0]:w[1]] {
		case "do", "if", "case", "{":
			n++
		case "done", "fi", "esac", "}":
			n--
		}
	}
	return n
}

var shellWord = lazy(`[^\s;&|()]+`)

// splitAt begins a part at each line with such a comment that follows a blank
// line or is the first.
func splitAt(code, mark string) []group {
	var p parts
	blank := true
	for line := range strings.Lines(code) {
		text := strings.TrimRight(line, "\n")
		if strings.HasPrefix(text, mark) && (blank || p.inComment()) {
			p.comment(text)
		} else {
			p.add(text)
		}
		blank = strings.TrimSpace(text) == ""
	}
	return p.done()
}

// parts gathers groups line by line.
type parts struct {
	groups   []group
	comments []string
	lines    []string
}

func (p *parts) inComment() bool { return len(p.comments) > 0 && strings.Join(p.lines, "") == "" }

func (p *parts) comment(text string) {
	if !p.inComment() || len(p.lines) > 0 {
		p.flush()
	}
	if t := strings.TrimSpace(strings.TrimLeft(text, "#-")); t != "" {
		p.comments = append(p.comments, t)
	}
}

func (p *parts) add(text string) { p.lines = append(p.lines, text) }

func (p *parts) flush() {
	g := group{comment: joinComments(p.comments), text: strings.Trim(strings.Join(p.lines, "\n"), "\n")}
	if strings.TrimSpace(g.text) == "" {
		g.text = ""
	}
	if empty().MatchString(g.comment) || strings.HasPrefix(g.comment, "TODO") {
		g.comment = ""
	}
	if g != (group{}) {
		p.groups = append(p.groups, g)
	}
	p.comments, p.lines = nil, nil
}

func (p *parts) done() []group {
	p.flush()
	return p.groups
}

// joinComments joins the lines of a comment: wrapped ones to one sentence,
// others each on its line. A number in front is dropped.
func joinComments(lines []string) string {
	var b strings.Builder
	for i, l := range lines {
		if i == 0 {
			l = numbering().ReplaceAllString(l, "")
		} else if l != "" && (l[0] == '(' || l[0] >= 'a' && l[0] <= 'z') {
			b.WriteByte(' ')
		} else {
			b.WriteByte('\n')
		}
		b.WriteString(l)
	}
	return strings.TrimSpace(b.String())
}

// transcript reports whether code is what a terminal showed: prompts, commands
// and their output.
func transcript(code string) bool {
	for line := range strings.Lines(code) {
		if strings.HasPrefix(strings.TrimLeft(line, " \t"), "$ ") {
			return true
		}
	}
	return false
}

// splitTranscript keeps the commands of a transcript without their prompts.
// Output is left out, since it is not to be typed.
func splitTranscript(code string) []group {
	var p parts
	pending := ""
	for line := range strings.Lines(code) {
		text := strings.TrimRight(line, "\n")
		trimmed := strings.TrimLeft(text, " \t")
		cmd, prompt := strings.CutPrefix(trimmed, "$ ")
		switch {
		case pending != "":
			pending += "\n" + strings.TrimPrefix(trimmed, "> ")
		case prompt:
			pending = strings.TrimSpace(cmd)
		case strings.HasPrefix(trimmed, "# ") && rootPrompt(trimmed[2:]):
			pending = strings.TrimSpace(trimmed[2:])
		case strings.HasPrefix(trimmed, "# "):
			p.comment(trimmed)
		}
		if pending != "" && !strings.HasSuffix(pending, `\`) && (lexShell(pending).ok || strings.Count(pending, "\n") > 30) {
			p.add(pending)
			pending = ""
		}
	}
	if pending != "" {
		p.add(pending)
	}
	return p.done()
}

// rootPrompt tells "# lsof -n" in a transcript from a comment.
func rootPrompt(s string) bool {
	first, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	if first == "" || first[0] < 'a' || first[0] > 'z' {
		return false
	}
	return rest == "" || strings.Contains(s, " -") || strings.ContainsAny(s, "|/") || tool().MatchString(first)
}

// tool matches programs that a responder runs: a code span that begins with one
// is a command.
var tool = lazy(`^(?:` +
	`kubectl|oc|docker|docker-compose|podman|crictl|helm|systemctl|journalctl|service|curl|wget|ssh|` +
	`scp|rsync|aws|gcloud|gsutil|az|doctl|terraform|tofu|ansible|ansible-playbook|vault|consul|nomad|` +
	`psql|mysql|redis-cli|mongo|mongosh|etcdctl|promtool|amtool|nats|kcat|rabbitmqctl|ps|top|htop|` +
	`kill|pkill|df|du|ls|cat|less|grep|zgrep|awk|sed|tail|head|find|lsof|ip|ss|netstat|dig|nslookup|` +
	`host|ping|traceroute|mtr|tcpdump|iptables|nft|ethtool|sudo|git|make|python|python3|sysctl|dmesg|` +
	`mount|umount|fsck|smartctl|mdadm|lsblk|free|vmstat|iostat|uptime|nginx|apachectl|certbot|` +
	`openssl|timedatectl|chronyc|ntpq|ceph|istioctl|argocd|flux|cqlsh|nodetool|zpool|zfs|lvs|vgs|pvs|` +
	`lvextend|resize2fs|xfs_growfs|crontab|logrotate|strace|perf|jstack|jmap|echo|export|cd|rm|cp|mv)$`)

var commandWord = lazy(`^(?:\./|/|~/)?[a-z][\w./+-]*$`)

// isCommand reports whether a code span is something to run, and not a name or
// an expression.
func isCommand(s string) bool {
	words := strings.Fields(strings.TrimPrefix(s, "$ "))
	if len(words) == 0 || !commandWord().MatchString(words[0]) {
		return false
	}
	if len(words) == 1 {
		return strings.HasPrefix(words[0], "./")
	}
	return tool().MatchString(words[0]) || strings.HasPrefix(words[0], "./") ||
		slices.ContainsFunc(words[1:], func(w string) bool { return len(w) > 1 && w[0] == '-' && isNameByte(w[len(w)-1]) })
}

// looksShell reports whether a block without a language begins like a command.
func looksShell(code string) bool {
	for line := range strings.Lines(code) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		return transcript(code) || isCommand(line) || tool().MatchString(line)
	}
	return false
}

// inlineCommands are the code spans of a text that are commands.
func inlineCommands(t inline) []tocsin.Command {
	var out []tocsin.Command
	for _, c := range t.codes {
		if isCommand(c) {
			out = append(out, tocsin.Command{Text: strings.TrimPrefix(c, "$ ")})
		}
	}
	return out
}
