package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startWithin is how long a machine may take to start the command; its own time
// begins after that.
const startWithin = 20 * time.Second

// giveUp is how long Run waits for what was killed. Only what hangs inside the
// kernel, such as in a dead network file system, takes longer.
const giveUp = 5 * time.Second

// Run executes the command and returns when it, and all that it has started, is
// gone. When ctx ends, it ends as after its Timeout, with half the Grace. The
// error is ErrNotRun when nothing was executed; any other error means that the end
// was not seen. A command that fails, or is killed, is no error. Safe for
// concurrent use.
func Run(ctx context.Context, c Command) (Result, error) {
	began := time.Now()
	err := ctx.Err()
	if os.Getenv(mark) != "" {
		err = fmt.Errorf("%s has not handed over to sandbox.Main", os.Args[0])
	}
	if err != nil {
		return Result{Exit: -1}, fmt.Errorf("%w: %w", ErrNotRun, err)
	}
	j, err := prepare(c)
	if err != nil {
		return Result{Exit: -1}, fmt.Errorf("%w: %w", ErrNotRun, err)
	}
	// The keeper dies with the thread that started it (PR_SET_PDEATHSIG).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	result, err := j.run(ctx)
	result.Took = time.Since(began)
	if left := j.clean(); left != nil {
		result.Held += fmt.Sprintf("; its folder is left: %v", left)
	}
	return result, err
}

// job is one command that is ready to be run.
type job struct {
	Command
	program program
	dir     string
	lock    *os.File // of dir
	in      instructions
}

func prepare(c Command) (*job, error) {
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	j := &job{Command: c, in: instructions{
		Argv: asBytes(append([]string{c.Path}, c.Args...)), Env: asBytes(c.Env),
		Read: c.Read, Write: c.Write, Connect: c.Connect, Limits: c.Limits, Require: c.Require,
	}}
	if j.in.Account, err = lookUp(c.User); err != nil {
		return nil, err
	}
	if j.program, err = load(c.Path, c.SHA256); err != nil {
		return nil, err
	}
	j.in.Script = j.program.script
	if j.dir, j.lock, err = newFolder(); err == nil {
		j.in.Dir = j.dir
		if a := j.in.Account; a != nil {
			err = os.Chown(j.dir, a.UID, a.GID)
		}
	}
	if err != nil {
		return nil, errors.Join(err, j.clean())
	}
	return j, nil
}

// lookUp finds the user to run as; nil: nobody else.
func lookUp(name string) (*account, error) {
	if name == "" {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	if u.Uid == strconv.Itoa(os.Geteuid()) {
		return nil, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("to run it as %s, Tocsin has to run as root", name)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("the groups of %s: %w", name, err)
	}
	a := &account{Name: name}
	for _, id := range ids {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, fmt.Errorf("the groups of %s: %w", name, err)
		}
		a.Groups = append(a.Groups, n)
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	a.UID, a.GID = uid, gid
	return a, errors.Join(errUID, errGID)
}

// clean removes what the job leaves.
func (j *job) clean() error {
	err := j.program.file.Close()
	if j.dir != "" {
		err = errors.Join(err, removeFolder(j.dir))
	}
	if j.lock != nil {
		err = errors.Join(err, j.lock.Close())
	}
	return err
}

// run starts the command and sees to its end.
func (j *job) run(ctx context.Context) (Result, error) {
	p, err := j.start()
	if err != nil {
		return Result{Exit: -1}, fmt.Errorf("%w: %w", ErrNotRun, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = p.keeper.Wait() // the keeper's exit code tells nothing; the reports do
		close(ended)
	}()
	out, reports, begun := make(chan *kept, 1), make(chan report, 1), make(chan struct{})
	go func() { out <- j.collect(p.output) }()
	go func() { reports <- readReports(p.status, begun) }()

	killed, gone := p.await(ctx, j.Timeout, begun, ended)
	// What is written was written: nobody is left, or it is not waited for.
	deadline := time.Now().Add(time.Second)
	_, _ = p.output.SetReadDeadline(deadline), p.status.SetReadDeadline(deadline) // pipes have deadlines
	k, r := <-out, <-reports
	_, _, _ = p.output.Close(), p.status.Close(), p.control.Close() // nothing is lost with a pipe
	result := Result{Output: k.bytes(), OutputBytes: k.total, Held: r.Held, Killed: killed}
	if !gone {
		return result, errors.New("killed, and still there: the kernel does not let go of it")
	}
	return r.into(result)
}

// What a command writes is taken as it comes until it is unhurried bytes, and then
// at hurried bytes a second at most: taking a flood costs the processor as much as
// making it.
const (
	unhurried = 1 << 20
	hurried   = 128 << 20
)

// collect keeps the output until its end, and shows it to whoever wants to see.
func (j *job) collect(r io.Reader) *kept {
	k, buf := &kept{max: j.Keep}, make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		k.write(buf[:n])
		if n > 0 && j.Output != nil {
			j.Output(buf[:n])
		}
		if err != nil {
			return k
		}
		if k.total > unhurried { // it waits for its pipe, and Tocsin goes on with its work
			time.Sleep(time.Duration(n) * time.Second / hurried)
		}
	}
}

// readReports makes one of all that the helpers say. It closes begun when the
// command is about to be executed.
func readReports(from io.Reader, begun chan<- struct{}) (all report) {
	for d := json.NewDecoder(from); ; {
		var r report
		if d.Decode(&r) != nil {
			return all
		}
		if r.Held != "" && all.Held == "" {
			all.Held = r.Held
			close(begun)
		}
		all.Error += r.Error
		all.Killed += r.Killed
		if r.Ended {
			all.Ended, all.Status = true, r.Status
		}
	}
}

// into completes the result with what the helpers have said.
func (r report) into(result Result) (Result, error) {
	result.Exit = -1
	switch {
	case r.Error != "":
		return result, fmt.Errorf("%w: %s", ErrNotRun, r.Error)
	case r.Held == "" && result.Killed != "":
		return result, fmt.Errorf("%w: before it had started, %s", ErrNotRun, result.Killed)
	case r.Held == "":
		return result, fmt.Errorf("%w: the helper process has failed: %q", ErrNotRun, result.Output)
	case r.Ended && r.Status.Exited():
		result.Exit = r.Status.ExitStatus()
	case r.Ended:
		result.Signal = unix.SignalName(r.Status.Signal())
	case result.Killed != "" || r.Killed != "":
		result.Signal = "SIGKILL"
	default:
		return result, errors.New("the process that kept the command was killed, and the command with it")
	}
	if result.Killed == "" {
		result.Killed = r.Killed
	}
	if result.Killed == "" && r.Ended && r.Status.Signaled() {
		result.Killed = limitOf(r.Status.Signal())
	}
	return result, nil
}

// limitOf is the limit that the kernel tells with a signal.
func limitOf(s syscall.Signal) string {
	switch s {
	case unix.SIGXCPU:
		return "its processor time was used up"
	case unix.SIGXFSZ:
		return "a file became too large"
	default:
		return ""
	}
}

// process is a keeper that runs, and Tocsin's ends of what it was given.
type process struct {
	keeper                  *exec.Cmd
	output, status, control *os.File
}

// await returns when the keeper is gone, and why it was made to go, if it was. It
// is gone but for what not even SIGKILL ends.
func (p *process) await(ctx context.Context, timeout time.Duration, begun, ended <-chan struct{}) (killed string, gone bool) {
	limit := time.NewTimer(startWithin)
	defer limit.Stop()
	over, grace := fmt.Sprintf("the %s to start it in were over", startWithin), Grace
	for killed == "" {
		select {
		case <-ended:
			return "", true
		case <-begun:
			begun, over = nil, fmt.Sprintf("its time of %s was over", timeout)
			limit.Reset(timeout)
		case <-limit.C:
			killed = over
		case <-ctx.Done():
			killed, grace = "it was called off", Grace/2
		}
	}
	within := func(d time.Duration) bool {
		limit.Reset(d)
		select {
		case <-ended:
			return true
		case <-limit.C:
			return false
		}
	}
	// Errors mean that the keeper is gone, which is what is waited for.
	_, _ = p.control.Write([]byte{controlTerm})
	if within(grace) {
		return killed, true
	}
	_, _ = p.control.Write([]byte{controlKill})
	if within(Grace / 2) {
		return killed, true
	}
	_ = p.keeper.Process.Kill()
	return killed, within(giveUp)
}

// stdin is what the command reads.
func (j *job) stdin() (*os.File, error) {
	if j.Stdin == nil {
		return os.Open(os.DevNull)
	}
	return memory("stdin", unix.MFD_NOEXEC_SEAL, bytes.NewReader(j.Stdin))
}
