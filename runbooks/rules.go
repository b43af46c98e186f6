package runbooks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tocsin-oncall/tocsin"
	"go.yaml.in/yaml/v4"
)

// Bounds on rule files.
const (
	maxRuleFile = 8 << 20
	maxRules    = 50_000
)

// readRules reads Prometheus rule files, PrometheusRule objects of Kubernetes,
// folders of either (*.yml, *.yaml), and patterns of files.
func readRules(paths []string) (rules []Rule, findings []Finding) {
	var files []string
	for _, p := range paths {
		info, err := os.Stat(p)
		matching, _ := filepath.Glob(p)
		switch {
		case err != nil && len(matching) > 0:
			files = append(files, matching...)
		case err != nil:
			findings = append(findings, Finding{p, 0, LevelError, LintBadRules, fmt.Sprintf("cannot be read: %v", errors.Unwrap(err))})
		case info.IsDir():
			for _, pattern := range []string{"*.yml", "*.yaml"} {
				m, _ := filepath.Glob(filepath.Join(escapeGlob(p), pattern))
				files = append(files, m...)
			}
		default:
			files = append(files, p)
		}
	}
	slices.Sort(files)
	for _, f := range slices.Compact(files) {
		r, err := readRuleFile(f)
		if err != nil {
			findings = append(findings, Finding{f, 0, LevelError, LintBadRules, err.Error()})
		}
		rules = append(rules, r...)
	}
	return rules, findings
}

func escapeGlob(p string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(p)
}

func readRuleFile(file string) ([]Rule, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	defer f.Close()
	source, err := io.ReadAll(io.LimitReader(f, maxRuleFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if len(source) > maxRuleFile {
		return nil, fmt.Errorf("is larger than %d MiB: divide it", maxRuleFile>>20)
	}
	var out []Rule
	dec := yaml.NewDecoder(bytes.NewReader(source))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return out, fmt.Errorf("is not YAML: %w", err)
		}
		groups := child(&doc, "groups")
		if groups == nil {
			groups = child(child(&doc, "spec"), "groups")
		}
		for _, g := range sequence(groups) {
			group := ""
			if n := child(g, "name"); n != nil {
				group = n.Value
			}
			for _, r := range sequence(child(g, "rules")) {
				name := child(r, "alert")
				if name == nil || name.Value == "" {
					continue
				}
				if len(out) >= maxRules {
					return out, fmt.Errorf("has more than %d rules: divide it", maxRules)
				}
				out = append(out, Rule{
					File: file, Line: name.Line, Group: group, Name: name.Value, Labels: texts(child(r, "labels")), Annotations: texts(child(r, "annotations")),
				})
			}
		}
	}
}

// child is the value of a key of a mapping, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolve(n.Content[i+1])
		}
	}
	return nil
}

func sequence(n *yaml.Node) []*yaml.Node {
	if n = resolve(n); n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

func resolve(n *yaml.Node) *yaml.Node {
	for range 8 {
		switch {
		case n == nil:
			return nil
		case n.Kind == yaml.AliasNode:
			n = n.Alias
		case n.Kind == yaml.DocumentNode && len(n.Content) > 0:
			n = n.Content[0]
		default:
			return n
		}
	}
	return nil
}

func texts(n *yaml.Node) tocsin.Labels {
	out := tocsin.Labels{}
	if n = resolve(n); n == nil || n.Kind != yaml.MappingNode {
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v := resolve(n.Content[i+1]); v != nil && v.Kind == yaml.ScalarNode {
			out[n.Content[i].Value] = v.Value
		}
	}
	return out
}
