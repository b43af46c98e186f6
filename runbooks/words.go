package runbooks

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/tocsin-oncall/tocsin"
)

// kindWords recognises sections by the wording of their headings. The order
// settles headings that hold several: "Impact Assessment" is diagnosis,
// "Post-Recovery Activities" follow-up.
var kindWords = []struct {
	kind  tocsin.SectionKind
	words func() *regexp.Regexp
}{
	{tocsin.SectionDiagnosis, lazy(`\b(?:(?:incident|alert|problem) verification|verify (?:the )?(?:incident|alert|problem|issue))\b`)},
	{tocsin.SectionFollowUp, lazy(`\b(?:follow ?ups?|verif(?:y|ying|ication)|validat\w*|post ?(?:incident|mortem|recovery|resolution|deployment|fix|action|event)s?|postmortem|after (?:the )?(?:incident|resolution|recovery|fix)|clean ?up|lessons(?: learned)?|next steps|action items|confirm(?:ation)?)\b`)},
	{tocsin.SectionEscalation, lazy(`\b(?:escalat\w*|contacts?|who to (?:call|contact|page|ask)|getting help|support)\b`)},
	{tocsin.SectionMitigation, lazy(`\b(?:solutions?|workarounds?|mitigat\w*|remediat\w*|contain(?:ment)?|quick fix(?:es)?|(?:immediate|first|short term|emergency) (?:actions?|response|steps?))\b`)},
	{tocsin.SectionDiagnosis, lazy(`\b(?:diagnos\w*|troubleshoot\w*|investigat\w*|triage|debug\w*|assessment|analysis|checks?|what to check|identification)\b`)},
	{tocsin.SectionResolution, lazy(`\b(?:resol(?:ution|ve|ving)|recover\w*|restor\w*|fix(?:es|ing)?|repair)\b`)},
	{tocsin.SectionMitigation, lazy(`\b(?:actions?|what to do|runbook|playbook|procedures?|response|steps(?: to take)?|how to respond)\b`)},
	{tocsin.SectionImpact, lazy(`\b(?:impacts?|consequences?|blast radius)\b`)},
	{tocsin.SectionMeaning, lazy(`\b(?:meaning|descriptions?|overview|symptoms?|summary|background|context|about|what (?:it|this) means|what(?: i)?s happening|causes?|definition|details|triggers?|scope|introduction|purpose)\b`)},
}

var (
	notASection  = lazy(`\b(?:objectives?|teams?|templates?|responsibilit(?:y|ies)|schedules?|policy|policies|rotation|levels|automated)\b`)
	templates    = lazy(`\btemplates?\b`)
	collective   = lazy(`(?i)\b(?:procedures?|steps|actions|process|options|checklist|plan|guide)$`)
	genericWords = lazy(`\b(?:the|and|or|of|for|a|an|to|how|in|on|this|phase|plan|process|common|general|possible|potential|initial|recommended|suggested|alert|incident|items?|guide|section|notes?|users?|business|root|likely|quick|first|long|short|term|steps?|commands?|further|more|manual|system|basic|it|you|we|do|should|must|with|who|what)\b`)
	numbering    = lazy(`^(?:\(?\d{1,3}(?:\.\d{1,3})*[.):]\s*|\d{1,3}(?:\.\d{1,3})+\s+|[A-Za-z][.)]\s+)`)
	stepNumber   = lazy(`(?i)^step\s+(?:\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten)\b\s*[:.)–—-]*\s*`)
	conditional  = lazy(`(?i)^(?:if|when|whenever|in case|in the case|for|on|option|scenario|case|otherwise|else|unless|alternative(?:ly)?|while|during)\b`)
	imperative   = lazy(`(?i)^(?:acknowledge|apply|ask|assess|block|call|check|clear|collect|configure|confirm|cordon|create|decrease|delete|deploy|disable|drain|edit|enable|ensure|evict|fail ?over|find|force|free|gather|identify|import|increase|inspect|install|isolate|kill|locate|look|make sure|migrate|move|notify|page|patch|pause|preserve|purge|query|reboot|recreate|redeploy|reduce|reload|remove|replace|resize|restart|restore|resume|retry|revert|review|roll ?back|rotate|run|scale|search|send|shut ?down|start|stop|switch|terminate|throttle|uncordon|unlock|update|upgrade|validate|verify|wait|wipe)\b`)
	exampleWords = lazy(`(?i)\b(?:examples?|e\.g\.|template|sample|output|looks? like)\b`)
	empty        = lazy(`(?i)^(?:todo|tbd|tba|to be (?:added|done|defined|written)|n/?a|none|coming soon|\.+|-+)[.! ]*$`)
)

// plainTitle is a heading's text without numbering and final colon.
func plainTitle(s string) string {
	s = strings.TrimSpace(flow(s))
	s = strings.TrimSpace(strings.TrimRight(s, ": "))
	return strings.TrimSpace(numbering().ReplaceAllString(s, ""))
}

// normalWords lower-cases a title and leaves letters, digits and single spaces.
func normalWords(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}), " ")
}

// classify recognises a section's heading. plain is true when the heading says
// nothing beyond its kind: "Troubleshooting Steps", but not "PostgreSQL
// Recovery".
func classify(title string) (kind tocsin.SectionKind, plain, ok bool) {
	w := normalWords(plainTitle(title))
	if w == "" || strings.Count(w, " ") > 8 || notASection().MatchString(w) {
		return tocsin.SectionOther, false, false
	}
	for _, k := range kindWords {
		if !k.words().MatchString(w) {
			continue
		}
		left := w
		for _, o := range kindWords {
			left = o.words().ReplaceAllString(left, " ")
		}
		return k.kind, strings.TrimSpace(genericWords().ReplaceAllString(left, "")) == "", true
	}
	return tocsin.SectionOther, false, false
}

// stepTitle returns the words of a heading or bold label that is itself a
// step: "Step 2: Drain the node", "Restart the pod". numbered is true for the
// former.
func stepTitle(title string) (text string, numbered, ok bool) {
	t := strings.TrimSpace(strings.TrimRight(flow(title), ": "))
	if m := stepNumber().FindString(t); m != "" {
		return t[len(m):], true, true
	}
	t = plainTitle(t)
	if strings.Contains(t, " ") && imperative().MatchString(t) && !collective().MatchString(t) {
		return t, false, true
	}
	return "", false, false
}

// takesAction reports whether bulleted lists in such a section are things to
// do.
func takesAction(k tocsin.SectionKind) bool {
	switch k {
	case tocsin.SectionDiagnosis, tocsin.SectionMitigation, tocsin.SectionResolution, tocsin.SectionFollowUp:
		return true
	}
	return false
}

// tellsOnly reports whether such a section holds prose and never steps.
func tellsOnly(k tocsin.SectionKind) bool {
	return k == tocsin.SectionMeaning || k == tocsin.SectionImpact
}

var (
	identifier = lazy(`^[\p{L}_][\p{L}\p{N}_:]*$`)
	camelCase  = lazy(`^[A-Za-z][A-Za-z0-9]*[a-z0-9][A-Z][A-Za-z0-9]*$`)
	nameBreak  = lazy(`\s*(?:,|;|/|\||&|\bor\b|\band\b|\n)\s*`)
	alertLabel = lazy(`(?i)^(?:prometheus )?(?:alert ?(?:names?)?|alerts|alert ?name\(s\)|triggering alerts?|triggered by|related alerts?)$`)
	metaLabel  = lazy(`(?i)^(?:prometheus )?(?:alert|severity|priority|triggered|triggering|related|runbook)`)
	sevLabel   = lazy(`(?i)^(?:severity|priority)$`)
	urlLabel   = lazy(`(?i)^runbook[ _]?url$`)
)

// alertNames reads the names that follow "Alert:". Code spans are names as they
// are; words are names only when every part is a single identifier, so that
// "Custom security alerts or manual detection" names none.
func alertNames(words string, codes []string) []string {
	if len(codes) > 0 {
		var out []string
		for _, c := range codes {
			if c = strings.TrimSpace(c); c != "" && len(c) <= 200 && !strings.ContainsAny(c, " {}()=<>") {
				out = append(out, c)
			}
		}
		return out
	}
	var out []string
	for _, p := range nameBreak().Split(strings.Trim(words, " .:"), -1) {
		if p == "" {
			continue
		}
		if !identifier().MatchString(p) {
			return nil
		}
		out = append(out, p)
	}
	return out
}

// slug is the address of a heading in a page, as GitHub makes it.
func slug(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(s)) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_' || unicode.Is(unicode.Mn, r):
			b.WriteRune(r)
		case r == ' ':
			b.WriteByte('-')
		}
	}
	return b.String()
}

// idSlug is the part of an ID that names a heading: its words, joined.
func idSlug(s string) string { return strings.ReplaceAll(normalWords(s), " ", "-") }
