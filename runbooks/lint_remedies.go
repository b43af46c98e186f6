package runbooks

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// LintUndeclared is the code of fences that name a remedy which is not declared.
const LintUndeclared = "undeclared-remedy"

// LintRemedies finds the fences that name a remedy which is not among those that
// are declared: they would have no button. All are errors, in the order of folders,
// files and lines. Fences that cannot be read are problems of Load.
func (l *Library) LintRemedies(declared []string) []Finding {
	if l == nil {
		return nil
	}
	var out []Finding
	for _, d := range l.docs {
		for _, f := range d.fences {
			if f.remediation == "" || slices.Contains(declared, f.remediation) {
				continue
			}
			hint := "declare it under remediations, or correct the name"
			if near := nearest(f.remediation, declared); near != "" {
				hint = "did you mean " + near + "?"
			}
			out = append(out, Finding{
				filepath.Join(d.dir, d.file), f.line, LevelError, LintUndeclared,
				fmt.Sprintf("the remedy %s is not declared in the configuration; %s", f.remediation, hint),
			})
		}
	}
	return out
}

// nearest is the name that was probably meant, or "".
func nearest(name string, names []string) string {
	best, least := "", max(1, min(len(name), 24)/3)+1
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance counts the insertions, deletions and replacements between two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
