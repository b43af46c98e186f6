package config

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"reflect"
)

// Hash tells configurations apart: it is the same for two that mean the same,
// secrets and the positions of rules included, and differs otherwise. It is 16
// hexadecimal digits, fit for a log or a metric.
func (c *Config) Hash() string {
	h := sha256.New()
	writeValue(h, reflect.ValueOf(c).Elem(), true)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// writeValue writes a value so that no two different ones write the same. Without
// places, where things stand in the file makes no difference.
func writeValue(h hash.Hash, v reflect.Value, places bool) {
	if secret, ok := v.Interface().(Secret); ok {
		v = reflect.ValueOf(secret.Reveal())
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if places || keyOf(v.Type().Field(i)) != "" {
				writeValue(h, v.Field(i), places)
			}
		}
	case reflect.Slice:
		// nil and empty differ: group_by: [] is not its absence.
		writeInt(h, int64(v.Len()))
		writeInt(h, int64(boolInt(v.IsNil())))
		for i := range v.Len() {
			writeValue(h, v.Index(i), places)
		}
	case reflect.Pointer:
		writeInt(h, int64(boolInt(v.IsNil())))
		if !v.IsNil() {
			writeValue(h, v.Elem(), places)
		}
	case reflect.String:
		writeInt(h, int64(v.Len()))
		_, _ = h.Write([]byte(v.String()))
	default:
		text := fmt.Sprint(plainNumber(v))
		writeInt(h, int64(len(text)))
		_, _ = h.Write([]byte(text))
	}
}

// plainNumber is the value without its type's String, which may round.
func plainNumber(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.Float64:
		return v.Float()
	default:
		return v.Int()
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func writeInt(h hash.Hash, n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	_, _ = h.Write(b[:])
}

// Changed lists the sections that mean something else in changed than in old, such
// as "receivers", in the order of the file. Where their parts stand in the file is
// no difference; what a file with a secret holds is one.
func Changed(old, changed *Config) []string {
	var keys []string
	a, b := reflect.ValueOf(old).Elem(), reflect.ValueOf(changed).Elem()
	for i := range a.NumField() {
		if key := keyOf(a.Type().Field(i)); key != "" && meaning(a.Field(i)) != meaning(b.Field(i)) {
			keys = append(keys, key)
		}
	}
	return keys
}

func meaning(v reflect.Value) [sha256.Size]byte {
	h := sha256.New()
	writeValue(h, v, false)
	return [sha256.Size]byte(h.Sum(nil))
}

// RestartNeeded lists the keys whose change from old to changed takes effect at
// the next start only, such as "server.listen". Empty: a reload is enough.
func RestartNeeded(old, changed *Config) []string {
	return restartKeys("", reflect.ValueOf(old).Elem(), reflect.ValueOf(changed).Elem())
}

func restartKeys(path string, a, b reflect.Value) []string {
	var keys []string
	for i := range a.NumField() {
		f := a.Type().Field(i)
		key := path + keyOf(f)
		switch {
		case keyOf(f) == "":
		case f.Tag.Get("restart") != "":
			if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
				keys = append(keys, key)
			}
		case isSection(f.Type):
			keys = append(keys, restartKeys(key+".", a.Field(i), b.Field(i))...)
		}
	}
	return keys
}
