package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/tocsin-oncall/tocsin/client"
)

// watchEvery is how often a watched list is asked for.
const watchEvery = 2 * time.Second

// Sequences of ECMA-48 that terminals know: to the upper left corner, and
// everything from there on erased.
const clearScreen = "\x1b[H\x1b[2J"

// watched is a list as it was at one time.
type watched struct {
	// key is another one when anything has changed but the time.
	key  string
	page []byte
}

// watch lists incidents anew whenever something has changed, until ctx ends. A
// server that is away for a while is waited for, once it was there.
func (c *incidentsCmd) watch(ctx context.Context, e *env, q client.IncidentQuery) error {
	cl, shown, live := c.client(), (*watched)(nil), colourful(e.out)
	for ctx.Err() == nil {
		list, err := cl.Incidents(ctx, q)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && shown == nil:
			return err
		}
		next, err := c.paint(list, err)
		if err != nil {
			return err
		}
		// A screen shows how old incidents are; a file need not.
		if shown == nil || next.key != shown.key || live && !bytes.Equal(next.page, shown.page) {
			if err := c.draw(e.out, live, next.page); err != nil {
				return err
			}
			shown = next
		}
		if sleep(ctx, watchEvery) != nil {
			return nil
		}
	}
	return nil
}

// paint writes a list, or why there is none.
func (c *incidentsCmd) paint(list client.Incidents, trouble error) (*watched, error) {
	if trouble != nil {
		text := fmt.Sprintf("%v; trying again", trouble)
		if c.Output == "json" {
			said, err := json.Marshal(map[string]string{"error": text})
			return &watched{text, append(said, '\n')}, err
		}
		return &watched{text, []byte(text + "\n")}, nil
	}
	key, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	switch {
	case c.Output == "json":
		page.Write(append(key, '\n'))
	case len(list.Incidents) == 0:
		fmt.Fprintln(&page, "no incidents"+c.elsewhere())
	default:
		writeIncidents(&page, "", list.Incidents)
	}
	return &watched{string(key), page.Bytes()}, nil
}

// draw fills the screen; where there is none, pages follow each other. JSON is a
// list a line.
func (c *incidentsCmd) draw(w io.Writer, live bool, page []byte) error {
	var err error
	switch {
	case c.Output == "json":
		_, err = w.Write(page)
	case live:
		_, err = fmt.Fprintf(w, "%s%s\n%s", clearScreen, stamp(time.Now()), page)
	default:
		_, err = fmt.Fprintf(w, "%s\n%s\n", stamp(time.Now()), page)
	}
	return err
}
