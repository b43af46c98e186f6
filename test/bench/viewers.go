package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// viewers is the storm's intake alone, and with 500 streams of the page open, in
// turns. The streams are read by this process, on the same processors.
func viewers(ctx context.Context, o options) error {
	rates, costs := map[int][]float64{}, map[int][]float64{}
	for range 5 {
		for _, n := range []int{0, 500} {
			rate, cost, err := watchedStorm(ctx, o, n)
			if err != nil {
				return err
			}
			rates[n], costs[n] = append(rates[n], rate), append(costs[n], cost)
		}
	}
	for _, n := range []int{0, 500} {
		slices.Sort(rates[n])
		slices.Sort(costs[n])
		fmt.Printf("%4d viewers  %8.0f posts/s (%.0f-%.0f)   %.3f ms CPU a post (%.3f-%.3f)\n",
			n, rates[n][2], rates[n][0], rates[n][4], costs[n][2], costs[n][0], costs[n][4])
	}
	fmt.Printf("with viewers  %8.2f x rate (at least 0.95)   %.2f x CPU\n", rates[500][2]/rates[0][2], costs[500][2]/costs[0][2])
	return nil
}

// watchedStorm posts the storm while n look on; it returns how many posts were
// answered a second, and the server's processor time for one, in milliseconds.
func watchedStorm(ctx context.Context, o options, n int) (rate, cost float64, err error) {
	err = with(func(s *sink, dir string) error {
		p, err := startTocsin(ctx, o, dir, s.URL, "alertname, instance")
		if err != nil {
			return err
		}
		ctx, leave := context.WithCancel(ctx)
		defer leave()
		for range n {
			if err := look(ctx, p.base+"/events"); err != nil {
				return errors.Join(err, p.stop())
			}
		}
		bodies, _ := stormBodies(o.n)
		before, began := p.cpu(), time.Now()
		_, err = postAll(ctx, p.url, o.connections, bodies)
		rate = float64(len(bodies)) / time.Since(began).Seconds()
		cost = float64(p.cpu()-before) / float64(time.Millisecond) / float64(len(bodies))
		leave()
		return errors.Join(err, p.stop())
	})
	return rate, cost, err
}

// look opens a stream and reads it until ctx ends.
func look(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	opened := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			opened <- err
			return
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("GET %s: %s", url, resp.Status)
		}
		opened <- err
		_, _ = io.Copy(io.Discard, resp.Body) // ends with ctx
	}()
	return <-opened
}
