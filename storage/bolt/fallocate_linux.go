package bolt

import (
	"os"
	"syscall"
)

// reserve gives f size bytes of the disk, without writing them where the file
// system can.
func reserve(f *os.File, size int64) error {
	err := syscall.Fallocate(int(f.Fd()), 0, 0, size)
	if err == syscall.EOPNOTSUPP || err == syscall.ENOSYS {
		return writeZeros(f, size)
	}
	return err
}

// fadviseWillNeed is POSIX_FADV_WILLNEED of linux/fadvise.h.
const fadviseWillNeed = 3

// prefetch asks the kernel to read the file ahead: bbolt maps it for random
// access, which would load a cold file page by page.
func prefetch(f *os.File, size int64) {
	const step = 1 << 20 // the kernel reads no more ahead for one call than the device's limit
	for off := int64(0); off < size; off += step {
		_, _, _ = syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), uintptr(off), step, fadviseWillNeed, 0, 0)
	}
}
