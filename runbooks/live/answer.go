package live

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tocsin-oncall/tocsin"
)

// maxWarnings is how many warnings of an answer are kept.
const maxWarnings = 5

// The types of results, as Prometheus names them.
const (
	TypeVector = "vector"
	TypeMatrix = "matrix"
	TypeScalar = "scalar"
	TypeString = "string"
)

// Result is what Prometheus has answered. Texts in it are whatever Prometheus
// holds: escape them at every output.
type Result struct {
	// Type is one of the Type constants.
	Type string
	// Series in Prometheus' order, at most MaxSeries. A scalar is one without
	// labels; of a vector each has one point.
	Series []Series
	// Total counts the series of the answer: those that were not kept and native
	// histograms too. Above MaxSeries, there may be more.
	Total int
	// Cut tells that series, or the oldest points of some, were not kept.
	Cut bool
	// Histograms counts the series of native histograms, of which no values are
	// kept.
	Histograms int
	// Text is the value of a string.
	Text string
	// Warnings of Prometheus: the answer may not be whole. One line each.
	Warnings []string
}

// Series is one series. Its Labels have the name of the metric as __name__.
type Series struct {
	Labels tocsin.Labels
	Points []Point
}

// Point is a value at a time. A Value may be NaN or infinite.
type Point struct {
	At    time.Time
	Value float64
}

func (r *Result) count() string {
	switch {
	case r.Total == 0:
		return "none"
	case r.Histograms > 0:
		return "a histogram"
	default:
		return fmt.Sprintf("%d", max(r.Total, len(r.Series[0].Points)))
	}
}

// wireSeries is a series of a vector (Value) or of a matrix (Values).
type wireSeries struct {
	Metric     tocsin.Labels     `json:"metric"`
	Value      *wirePoint        `json:"value"`
	Values     []wirePoint       `json:"values"`
	Histogram  json.RawMessage   `json:"histogram"`
	Histograms []json.RawMessage `json:"histograms"`
}

// wirePoint is [1435781451.781, "1"].
type wirePoint struct {
	at   time.Time
	text string
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *wirePoint) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	var at float64
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("a value has %d parts, and should have a time and a text", len(pair))
	}
	if err := errors.Join(json.Unmarshal(pair[0], &at), json.Unmarshal(pair[1], &p.text)); err != nil {
		return err
	}
	if math.Abs(at) > maxTime {
		return fmt.Errorf("a value has the time %g, which is none", at)
	}
	p.at = time.UnixMilli(int64(math.Round(at * 1000))).UTC()
	return nil
}

// maxTime is the end of the year 9999, in seconds.
const maxTime = 253402300799

func (p *wirePoint) point() (Point, error) {
	v, err := strconv.ParseFloat(p.text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range is ±Inf or 0, as Prometheus itself reads it
		return Point{}, errors.New("a value is not a number")
	}
	return Point{p.at, v}, nil
}

func decode(data json.RawMessage) (Result, error) {
	var d struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return Result{}, err
	}
	r := Result{Type: d.Type}
	switch d.Type {
	case TypeVector, TypeMatrix:
		return r, r.series(d.Result)
	case TypeScalar, TypeString:
		return r, r.single(d.Result)
	default:
		return Result{}, errors.New("it has a type of result that is not known here")
	}
}

// single reads the one value of a scalar or a string.
func (r *Result) single(data json.RawMessage) error {
	var p wirePoint
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	if r.Type == TypeString {
		r.Text = p.text
		return nil
	}
	v, err := p.point()
	r.Total, r.Series = 1, []Series{{Points: []Point{v}}}
	return err
}

// series reads one series after the other, so that those that are not kept cost
// nothing.
func (r *Result) series(data json.RawMessage) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil || start != json.Delim('[') {
		return errors.New("its series are no list")
	}
	for dec.More() {
		if r.Total++; len(r.Series) >= MaxSeries {
			r.Cut = true
			var skipped json.RawMessage
			if err := dec.Decode(&skipped); err != nil {
				return err
			}
			continue
		}
		var w wireSeries
		if err := dec.Decode(&w); err != nil {
			return err
		}
		if err := r.keep(&w); err != nil {
			return err
		}
	}
	return nil
}

func (r *Result) keep(w *wireSeries) error {
	if w.Value != nil {
		w.Values = []wirePoint{*w.Value}
	}
	if len(w.Values) == 0 {
		if len(w.Histogram) == 0 && len(w.Histograms) == 0 {
			return errors.New("a series has no value")
		}
		r.Histograms++
		return nil
	}
	if n := len(w.Values) - MaxPoints; n > 0 {
		w.Values, r.Cut = w.Values[n:], true
	}
	s := Series{Labels: w.Metric, Points: make([]Point, len(w.Values))}
	for n := range w.Values {
		var err error
		if s.Points[n], err = w.Values[n].point(); err != nil {
			return err
		}
	}
	r.Series = append(r.Series, s)
	return nil
}
