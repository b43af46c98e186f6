package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
)

// maxSecretFile is far above any token or list of tokens, and keeps a wrong
// path from being read into memory.
const maxSecretFile = 64 << 10

// readSecrets fills every secret from its *_file twin, here and below.
func readSecrets(rep *report, v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		readSecrets(rep, v.Elem())
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			readSecrets(rep, v.Index(i))
		}
	case isSection(v.Type()):
		for i := range v.NumField() {
			if f := v.Type().Field(i); hasTwin(v.Type(), f) {
				readTwin(rep, f, v.Field(i), v.FieldByName(f.Name+"File"))
			} else {
				readSecrets(rep, v.Field(i))
			}
		}
	}
}

// hasTwin reports whether the field is a secret with a *_file twin.
func hasTwin(t reflect.Type, f reflect.StructField) bool {
	_, ok := t.FieldByName(f.Name + "File")
	return ok
}

func readTwin(rep *report, f reflect.StructField, secret, file reflect.Value) {
	path := file.String()
	fileField := file.Addr().Interface()
	if path == "" {
		return
	}
	secretField := secret.Addr().Interface()
	if !secret.IsZero() && !(secret.Kind() == reflect.Slice && secret.Len() == 0) {
		rep.fail(at(fileField), "%[1]s and %[1]s_file are both set; keep one", keyOf(f))
		return
	}
	// Whatever is said of the secret from here on is said of this line.
	rep.spots[secretField] = rep.spots[fileField]
	text, err := readSecretFile(path)
	if err == nil {
		err = setSecret(rep, secret, text)
	}
	if err != nil {
		rep.fail(at(fileField), "%s_file: %v", keyOf(f), err)
		rep.bad[secretField] = true
		return
	}
	warnReadable(rep, fileField, keyOf(f)+"_file", path)
}

// setSecret sets a secret, or a list of them, from the text of a file.
func setSecret(rep *report, v reflect.Value, text string) error {
	if v.Kind() != reflect.Slice {
		if text = strings.TrimRight(text, "\r\n"); text == "" {
			return errors.New("the file is empty; write the secret into it")
		}
		rep.hideValue(text)
		return setText(v, text)
	}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if err := setText(e, line); err != nil {
			return fmt.Errorf("line %d of the file %w", i+1, err)
		}
		if t, ok := e.Interface().(APIToken); ok {
			line = t.Token.Reveal()
		}
		rep.hideValue(line)
		v.Set(reflect.Append(v, e))
	}
	if v.Len() == 0 {
		return errors.New("the file holds no token; write one a line")
	}
	return nil
}

// readSecretFile reads a small regular file. A pipe or a device could block the
// start for ever.
func readSecretFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%w; write the secret into that file", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w; let the user that runs Tocsin read it", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxSecretFile {
		return "", fmt.Errorf("%s is larger than 64 KiB; it is hardly a secret", path)
	}
	return string(text), nil
}

// warnReadable warns of a file with a secret that everybody may read.
func warnReadable(rep *report, field any, key, path string) {
	const others fs.FileMode = 0o004
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&others != 0 {
		rep.warn(at(field), "%s: everybody on this machine can read %s; chmod o-r it", key, path)
	}
}
