package workload

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"muster/jepsen/history"
)

// Programs that `muster run` keeps registered, whatever happens to the replicas.
const (
	programCount      = 3
	programTTL        = "10s"
	programsEndWithin = 20 * time.Second
)

// Programs are running.
type Programs struct {
	history  *history.History
	commands []*exec.Cmd
	mu       sync.Mutex
	stopping bool
	all      sync.WaitGroup
}

// StartPrograms starts them with every replica in --server; their output goes to logs in the folder.
func StartPrograms(muster, folder string, urls []string, h *history.History) (*Programs, error) {
	p := &Programs{history: h}
	// A program ends with this process.
	script := fmt.Sprintf("while kill -0 %d 2>/dev/null; do sleep 1; done", os.Getpid())
	for k := 0; k < programCount; k++ {
		id := fmt.Sprintf("run-%d", k)
		log, err := os.Create(filepath.Join(folder, id+".log"))
		if err != nil {
			return p, err
		}
		command := exec.Command(muster, "--server", strings.Join(urls, ","), "run", "--name", "run", "--id", id, "--host", "10.0.0.3",
			"--port", fmt.Sprint(1+k), "--ttl", programTTL, "--", "sh", "-c", script)
		command.Env, command.Stdout, command.Stderr = []string{"PATH=" + os.Getenv("PATH")}, log, log
		err = command.Start()
		log.Close()
		if err != nil {
			return p, err
		}
		p.commands = append(p.commands, command)
		p.history.Run.Programs = append(p.history.Run.Programs, id)
		p.all.Add(1)
		go p.watch(id, command)
	}
	return p, nil
}

func (p *Programs) watch(id string, command *exec.Cmd) {
	defer p.all.Done()
	_ = command.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopping {
		p.history.AddFinding("programs_go_on", "`muster run` of %s ended: %s", id, command.ProcessState)
	}
}

// Stop ends them; each deregisters itself.
func (p *Programs) Stop() {
	p.mu.Lock()
	p.stopping = true
	p.mu.Unlock()
	for _, command := range p.commands {
		_ = command.Process.Signal(syscall.SIGTERM)
	}
	ended := make(chan struct{})
	go func() {
		p.all.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(programsEndWithin):
		p.history.AddFinding("programs_go_on", "a `muster run` does not end within %s of SIGTERM", programsEndWithin)
		for _, command := range p.commands {
			_ = command.Process.Kill()
		}
	}
}
