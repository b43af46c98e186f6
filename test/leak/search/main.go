// Command search looks for secrets in what a run of all the tests has printed and
// left behind: in files, and folders with all below them. It exits with 1 where it
// finds one, and where it does not find one that it hid itself.
package main

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tocsin-oncall/tocsin/test/leak"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(paths []string) error {
	if len(paths) == 0 {
		return errors.New("say what to search: files or folders")
	}
	if err := hideAndSeek(); err != nil {
		return fmt.Errorf("this search cannot be believed: %w", err)
	}
	files, size := 0, int64(0)
	for _, path := range paths {
		if err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				files, size = files+1, size+info.Size()
			}
			return err
		}); err != nil {
			return err
		}
	}
	if err := leak.Files(paths...); err != nil {
		return err
	}
	fmt.Printf("no secret in %d files, %.1f MB\n", files, float64(size)/1e6)
	return nil
}

// hideAndSeek hides a secret as it is written here and there, and expects it to be
// found.
func hideAndSeek() (err error) {
	dir, err := os.MkdirTemp("", "tocsin-leak-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	secret := "xoxb-" + leak.Mark + "-hidden"
	if err := leak.Files(dir); err != nil {
		return fmt.Errorf("something is found where nothing is: %w", err)
	}
	for how, text := range map[string]string{
		"as it is": secret, "base64": base64.StdEncoding.EncodeToString([]byte("u:" + secret)), "hex": hex.EncodeToString([]byte(secret)),
	} {
		file := filepath.Join(dir, how)
		if err := os.WriteFile(file, append(make([]byte, 1<<20), text...), 0o600); err != nil {
			return err
		}
		if leak.Files(dir) == nil {
			return fmt.Errorf("a secret that was hidden (%s) is not found", how)
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}
