package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// The second argument, after Arg.
const (
	stageKeep  = "keep"
	stageStart = "start"
	stageProbe = "probe"
)

// mark is in the environment of the helpers, and of nothing else: a program that
// does not hand over to Main is not to start itself without end.
const mark = "TOCSIN_SANDBOX_HELPER"

// self is this program, also when its file was replaced since it started.
const self = "/proc/self/exe"

// ladder are the namespaces to ask the kernel for, the best first. A process
// without privileges has to ask for a user namespace with them.
func ladder(root, network bool) []spaces {
	all := spaces{PID: true, Net: !network, User: !root}
	steps := []spaces{all}
	if all.Net {
		all.Net = false
		steps = append(steps, all)
	}
	return append(steps, spaces{})
}

// refused reports whether an error is the kernel's no to a namespace.
func refused(err error) bool {
	for _, no := range []error{unix.EPERM, unix.EINVAL, unix.ENOSPC, unix.ENOSYS, unix.EUSERS, unix.EACCES} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// start starts the keeper in the best namespaces that there are.
func (j *job) start() (p *process, err error) {
	steps := ladder(os.Geteuid() == 0, len(j.Connect) > 0)
	for _, s := range steps {
		j.in.Spaces = s
		if p, err = j.startIn(s); err == nil || !refused(err) {
			break
		}
	}
	return p, err
}

func (j *job) startIn(s spaces) (p *process, err error) {
	if !s.User {
		j.in.OthersTasks = tasksOf(j.uid())
	}
	var theirs, ours files
	defer func() {
		theirs.close()
		if err != nil {
			ours.close()
		}
	}()
	text, err := json.Marshal(j.in)
	if err != nil {
		return nil, err
	}
	stdin := theirs.opened(j.stdin())
	output, outputEnd := pipe(&ours, &theirs)
	status, statusEnd := pipe(&ours, &theirs)
	controlEnd, control := pipe(&theirs, &ours)
	in := theirs.opened(memory("instructions", unix.MFD_NOEXEC_SEAL, bytes.NewReader(text)))
	if err := errors.Join(theirs.err, ours.err); err != nil {
		return nil, err
	}
	if a := j.in.Account; a != nil { // so that it can open /dev/stdout
		if err := outputEnd.Chown(a.UID, a.GID); err != nil {
			return nil, err
		}
	}
	keeper := helper(s, stageKeep)
	keeper.Stdin, keeper.Stdout, keeper.Stderr = stdin, outputEnd, outputEnd
	// In the order of fdInstructions and the others.
	keeper.ExtraFiles = []*os.File{in, statusEnd, j.program.file, controlEnd}
	if err := keeper.Start(); err != nil {
		return nil, fmt.Errorf("starting the sandbox: %w", err)
	}
	return &process{keeper: keeper, output: output, status: status, control: control}, nil
}

func (j *job) uid() int {
	if j.in.Account != nil {
		return j.in.Account.UID
	}
	return os.Geteuid()
}

// helper is this program as another process, in namespaces of its own, without
// anything of this process' environment.
func helper(s spaces, stage ...string) *exec.Cmd {
	cmd := exec.Command(self, append([]string{Arg}, stage...)...)
	cmd.Env = helperEnv()
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: s.flags(), Setsid: true}
	if s.PID {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if s.User {
		uid, gid := os.Geteuid(), os.Getegid()
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		// Else execve would leave it nothing to mount with, and to give up for the command.
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	}
	return cmd
}

// helperEnv keeps the helpers small.
func helperEnv() []string { return []string{"GOMAXPROCS=1", mark + "=1"} }

// files are closed together; the first error is kept.
type files struct {
	all []*os.File
	err error
}

func (f *files) opened(file *os.File, err error) *os.File {
	if err != nil {
		f.err = errors.Join(f.err, err)
		return nil
	}
	f.all = append(f.all, file)
	return file
}

func (f *files) close() {
	for _, file := range f.all {
		_ = file.Close() // pipes and memory: nothing is lost
	}
}

// pipe returns a new pipe, of which the reading end belongs to r and the other
// to w.
func pipe(r, w *files) (*os.File, *os.File) {
	a, b, err := os.Pipe()
	if err != nil {
		r.err = errors.Join(r.err, err)
		return nil, nil
	}
	return r.opened(a, nil), w.opened(b, nil)
}
