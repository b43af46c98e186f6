// Command bench measures the whole pipeline: the real tocsin binary, an emulated
// Slack, a load generator, and beside them a real Alertmanager on the same
// machine. docs/benchmarks.md says how to read what it prints.
//
// The figures that matter are ratios: machines differ, and so do their moods.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
)

// options are the command line.
type options struct {
	tocsin, alertmanager string
	n                    int
	connections          int
	only                 string
}

func main() {
	var o options
	flag.StringVar(&o.tocsin, "tocsin", "bin/tocsin", "the tocsin binary")
	flag.StringVar(&o.alertmanager, "alertmanager", "alertmanager", "an Alertmanager binary to run beside it; skipped where there is none")
	flag.IntVar(&o.n, "n", 10_000, "distinct incidents of the storm")
	flag.IntVar(&o.connections, "c", 16, "connections")
	flag.StringVar(&o.only, "only", "", "run only these scenarios, by name, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// scenario is one measurement.
type scenario struct {
	name string
	run  func(context.Context, options) error
}

func run(ctx context.Context, o options) error {
	if _, err := os.Stat(o.tocsin); err != nil {
		return fmt.Errorf("%w; run `make build` first", err)
	}
	if path, err := exec.LookPath(o.alertmanager); err == nil {
		o.alertmanager = path
	} else {
		fmt.Println("no Alertmanager found: nothing to compare with (go install github.com/prometheus/alertmanager/cmd/alertmanager@v0.31.1)")
		o.alertmanager = ""
	}
	wanted := strings.FieldsFunc(o.only, func(r rune) bool { return r == ',' })
	all := []scenario{
		{"size", size},
		{"idle", idle},
		{"storm", storm},
		{"paced", paced},
		{"one-incident", oneIncident},
		{"many-incidents", manyIncidents},
		{"deadlines", deadlines},
		{"escalated-storm", escalatedStorm},
		{"escalated-incidents", escalatedIncidents},
		{"oncall", onCall},
		{"clicks", clicks},
		{"remedies", remedies},
		{"viewers", viewers},
	}
	var errs []error
	for _, s := range all {
		if len(wanted) > 0 && !slices.Contains(wanted, s.name) {
			continue
		}
		fmt.Printf("\n== %s\n", s.name)
		if err := s.run(ctx, o); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}
