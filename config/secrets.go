package config

import (
	"reflect"
	"slices"
)

// shortest is the shortest secret worth hiding: very short ones would only make
// holes in what is shown.
const shortest = 6

// Secrets returns the values of all secrets, the longest first, to keep them out of
// what others have written.
func (c *Config) Secrets() []string {
	var out []string
	collect(reflect.ValueOf(c).Elem(), &out)
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(out)
}

func collect(v reflect.Value, out *[]string) {
	if s, ok := v.Interface().(Secret); ok {
		if text := s.Reveal(); len(text) >= shortest {
			*out = append(*out, text)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			collect(v.Elem(), out)
		}
	case reflect.Slice:
		for i := range v.Len() {
			collect(v.Index(i), out)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				collect(v.Field(i), out)
			}
		}
	default:
	}
}
