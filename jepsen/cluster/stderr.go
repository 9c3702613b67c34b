package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// pipeBytes is the capacity of a pipe: a page, so that it is soon full.
const pipeBytes = 4096

// stderr receives a process's log: a pipe, and a reader that copies it into a file, or is stuck.
type stderr struct {
	reader, log *os.File
	mu          sync.Mutex
	moved       *sync.Cond
	stuck       bool
	stands      bool          // the reader is stuck, or has ended
	done        chan struct{} // closed once everything is copied
}

// newStderr returns the end for the process; close it once the process has it.
func newStderr(log *os.File) (*stderr, *os.File, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	if raw, err := reader.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETPIPE_SZ, pipeBytes)
		})
	}
	s := &stderr{reader: reader, log: log, done: make(chan struct{})}
	s.moved = sync.NewCond(&s.mu)
	go s.copy()
	return s, writer, nil
}

func (s *stderr) copy() {
	defer func() {
		s.reader.Close()
		s.log.Close()
		s.mu.Lock()
		s.stands = true
		s.mu.Unlock()
		s.moved.Broadcast()
		close(s.done)
	}()
	buffer := make([]byte, pipeBytes)
	for {
		s.mu.Lock()
		for s.stuck {
			s.stands = true
			s.moved.Broadcast()
			s.moved.Wait()
		}
		s.stands = false
		s.mu.Unlock()
		n, err := s.reader.Read(buffer)
		if n > 0 {
			_, _ = s.log.Write(buffer[:n])
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// stick stops the reader, or lets it continue. When this returns it has stopped: a read in progress
// has ended.
func (s *stderr) stick(stuck bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = stuck
	deadline := time.Time{}
	if stuck {
		deadline = time.Unix(1, 0) // interrupts a waiting read
	}
	_ = s.reader.SetReadDeadline(deadline)
	s.moved.Broadcast()
	for stuck && !s.stands {
		s.moved.Wait()
	}
}

// settled waits until all output of an ended process is in the file; not for a stuck
// reader.
func (s *stderr) settled() {
	s.mu.Lock()
	stuck := s.stuck
	s.mu.Unlock()
	if stuck {
		return
	}
	select {
	case <-s.done:
	case <-time.After(2 * time.Second):
	}
}

// fillPipe writes into a process's stderr until it takes no more.
func fillPipe(pid int) error {
	pipe, err := syscall.Open(fmt.Sprintf("/proc/%d/fd/2", pid), syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(pipe)
	for _, piece := range []string{strings.Repeat(".", 63) + "\n", "\n"} {
		for {
			if _, err := syscall.Write(pipe, []byte(piece)); err == syscall.EAGAIN {
				break
			} else if err != nil && err != syscall.EINTR {
				return err
			}
		}
	}
	return nil
}

// StickLog stops the reader of a replica's stderr, with its pipe full, or lets it continue.
func (p *Processes) StickLog(n int, stuck bool) error {
	p.mu.Lock()
	s := p.all[n].stderr
	p.mu.Unlock()
	if s == nil {
		return fmt.Errorf("replica %d was never started", n)
	}
	s.stick(stuck)
	if pid := p.Pid(n); stuck && pid != 0 {
		return fillPipe(pid)
	}
	return nil
}

// WaitsForLog reports whether a thread of the replica is blocked in a write to stderr.
func (p *Processes) WaitsForLog(n int) bool {
	writing := fmt.Sprintf("%d 0x2 ", syscall.SYS_WRITE)
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", p.Pid(n)))
	for _, task := range tasks {
		if text, err := os.ReadFile(task); err == nil && strings.HasPrefix(string(text), writing) {
			return true
		}
	}
	return false
}

// Hangup sends SIGHUP, which only produces a log line.
func (p *Processes) Hangup(n int) error {
	_, err := p.signal(n, syscall.SIGHUP, false)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
