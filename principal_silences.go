package tocsin

import (
	"slices"
	"strings"
)

// SilenceScope is the silences that are a team's: those that have all of its
// matchers. A silence hides what all of its matchers match, so that whatever such a
// one hides the team's matchers match, too.
type SilenceScope struct {
	// Matchers are one each, and written as String of Alertmanager's package labels
	// writes them: team="web". None: no silence is the team's.
	Matchers []string
	// Role is what may be done with the silences.
	Role Role
}

// has reports whether matchers, in the form of Matchers, contain all of the scope's.
func (s *SilenceScope) has(matchers []string) bool {
	return len(s.Matchers) > 0 && !slices.ContainsFunc(s.Matchers, func(m string) bool { return !slices.Contains(matchers, m) })
}

// MaySilence reports whether the principal has the right over a silence of the
// matchers: to look at it with RightView, to make, change and end it with
// RightRespond. The matchers are in the form of SilenceScope.Matchers; one that is
// not is as none.
func (p *Principal) MaySilence(right Right, matchers []string) bool {
	return p.May(right) || slices.ContainsFunc(p.Silences, func(s SilenceScope) bool { return s.Role.May(right) && s.has(matchers) })
}

// MaySilenceSome reports whether there may be a silence over which the principal has
// the right.
func (p *Principal) MaySilenceSome(right Right) bool {
	return p.May(right) || len(p.ownSilences(right)) > 0
}

// ownSilences are the scopes in which the principal has the right.
func (p *Principal) ownSilences(right Right) (list []SilenceScope) {
	for _, s := range p.Silences {
		if s.Role.May(right) && len(s.Matchers) > 0 {
			list = append(list, s)
		}
	}
	return list
}

// SilenceBegins are the matchers that every silence that the principal makes must
// have: nil where they may silence anything, nothing, or in several ways.
func (p *Principal) SilenceBegins() []string {
	own := p.ownSilences(RightRespond)
	if p.May(RightRespond) || len(own) != 1 {
		return nil
	}
	return own[0].Matchers
}

// SilenceLacks says what to add to the matchers of a silence so that the principal
// may make it; empty: nothing, or there is nothing that would do.
func (p *Principal) SilenceLacks(matchers []string) string {
	if p.MaySilence(RightRespond, matchers) {
		return ""
	}
	var ways []string
	for _, s := range p.ownSilences(RightRespond) {
		var lacks []string
		for _, m := range s.Matchers {
			if !slices.Contains(matchers, m) {
				lacks = append(lacks, m)
			}
		}
		if way := strings.Join(lacks, ", "); !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	switch len(ways) {
	case 0:
		return ""
	case 1:
		return "add " + ways[0] + "; your team's silences include it"
	}
	return "add " + strings.Join(ways, ", or ") + "; your teams' silences include one of these"
}
