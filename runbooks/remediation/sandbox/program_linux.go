package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxProgram is the size of the largest file that is executed: it is copied
// into memory.
const maxProgram = 512 << 20

// program is a file as it was when it was hashed. What happens to the file after
// that changes nothing.
type program struct {
	file   *os.File // sealed, open for reading
	script bool     // the kernel gives it to the interpreter that it names
}

// load copies the file at path into sealed memory while it hashes it. Hashing
// the file and then executing it by its path, or even by an open descriptor,
// would execute whatever somebody has written into it in between.
func load(path, sum string) (program, error) {
	// A FIFO would wait for its writer.
	from, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return program{}, err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return program{}, err
	}
	if !info.Mode().IsRegular() {
		return program{}, fmt.Errorf("%s is not a regular file", path)
	}
	if info.Size() > maxProgram {
		return program{}, fmt.Errorf("%s has %d bytes, more than %d", path, info.Size(), maxProgram)
	}
	hash := sha256.New()
	file, err := memory("tocsin-remedy", unix.MFD_EXEC, io.TeeReader(io.LimitReader(from, maxProgram), hash))
	if err != nil {
		return program{}, err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != sum {
		return program{}, errors.Join(fmt.Errorf("%s has changed: its SHA-256 is %s, and %s is declared; look at the file, then at the configuration", path, got, sum), file.Close())
	}
	var start [2]byte
	n, err := file.ReadAt(start[:], 0)
	if n < len(start) {
		return program{}, errors.Join(fmt.Errorf("%s is no program: %w", path, err), file.Close())
	}
	return program{file: file, script: bytes.Equal(start[:], []byte("#!"))}, nil
}

// memory is a file without a name that holds what r gives, sealed against
// every change, and open for reading only: the kernel executes nothing that is
// open for writing. flags: unix.MFD_EXEC or unix.MFD_NOEXEC_SEAL.
func memory(name string, flags int, r io.Reader) (file *os.File, err error) {
	const always = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, always|flags)
	if errors.Is(err, unix.EINVAL) { // Linux before 6.3 knows neither flag
		fd, err = unix.MemfdCreate(name, always)
	}
	if errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("memfd_create: %w: this machine executes nothing from memory; set the sysctl vm.memfd_noexec to 1 or 0", err)
	}
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	w := os.NewFile(uintptr(fd), name)
	defer func() { err = errors.Join(err, w.Close()) }()
	if _, err := io.Copy(w, r); err != nil {
		return nil, err
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
}
