package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"golang.org/x/sys/unix"
)

// The descriptors that the keeper is started with, besides 0, 1 and 2, which
// are the command's. They carry what must not be seen in arguments or in an
// environment.
const (
	fdInstructions = 3
	fdStatus       = 4 // reports go out
	fdProgram      = 5
	fdControl      = 6 // control bytes come in; its end means that Tocsin is gone
)

// The descriptors of the process that becomes the command. The program's stays
// open if it is a script: the interpreter reads it.
const (
	fdCommandProgram      = 3
	fdCommandInstructions = 4
	fdCommandStatus       = 5
)

// What Tocsin tells the keeper.
const (
	controlTerm = 'T'
	controlKill = 'K'
)

// instructions are what the two helpers are to do. Arguments are bytes: JSON
// would mend what is not UTF-8.
type instructions struct {
	Argv, Env   [][]byte
	Dir         string
	Read, Write []string
	Connect     []int
	Limits      Limits
	// OthersTasks is how many of the same user's tasks are not the command's, but are
	// counted with them.
	OthersTasks int
	Account     *account
	Require     string
	Script      bool
	Spaces      spaces
}

// account is a user of the machine.
type account struct {
	Name     string
	UID, GID int
	Groups   []int
}

// spaces are the namespaces that a command gets.
type spaces struct {
	PID  bool // with mounts and IPC
	Net  bool
	User bool
}

func (s spaces) flags() (flags uintptr) {
	if s.PID {
		flags |= unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC
	}
	if s.Net {
		flags |= unix.CLONE_NEWNET
	}
	if s.User {
		flags |= unix.CLONE_NEWUSER
	}
	return flags
}

// report is what a helper says. Each is far shorter than PIPE_BUF, so that two
// writers do not mix.
type report struct {
	// Held is said right before the command is executed.
	Held string `json:",omitempty"`
	// Error: the command was not executed.
	Error string `json:",omitempty"`
	// Killed is the limit that ended it.
	Killed string `json:",omitempty"`
	// Ended: Status is what wait4 gave.
	Ended  bool            `json:",omitempty"`
	Status unix.WaitStatus `json:",omitempty"`
}

const maxReportText = 2000

// say writes a report; there is nobody else to tell when that fails.
func say(fd int, r report) {
	r.Error = r.Error[:min(len(r.Error), maxReportText)]
	if text, err := json.Marshal(r); err == nil {
		_, _ = unix.Write(fd, append(text, '\n'))
	}
}

// inherited is a descriptor that this process was started with. An os.File of it
// would be closed by the garbage collector, while others go by its number.
type inherited int

// ReadAt is io.ReaderAt's.
func (fd inherited) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := unix.Pread(int(fd), p[n:], off+int64(n))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return n, err
		}
		if err == nil && m == 0 {
			return n, io.EOF
		}
		n += max(m, 0)
	}
	return n, nil
}

// readInstructions reads them from the start, whoever has read them before.
func readInstructions(fd inherited) (in instructions, err error) {
	if err := json.NewDecoder(io.NewSectionReader(fd, 0, math.MaxInt64)).Decode(&in); err != nil {
		return in, fmt.Errorf("there are no instructions: %w", err)
	}
	return in, nil
}

func asBytes(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = []byte(s)
	}
	return slices.Clip(out)
}
