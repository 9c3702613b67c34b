package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Containers is the cluster of docker/compose.yml, with the run's own project name, ports and volumes.
// iptables in the containers' namespaces causes the troubles of its network.
type Containers struct {
	options Options
	project string
	ports   []int // published, by replica

	mu       sync.Mutex
	ids      map[int]string // of containers: they do not change in a run
	expected map[int]bool
	trouble  map[[2]int]Trouble
	counts   Counts
	stopped  chan struct{}
}

// NewDocker needs an engine that answers, and the image.
func NewDocker(options Options) (Cluster, error) {
	if options.Replicas != 3 {
		return nil, fmt.Errorf("docker/compose.yml has 3 replicas")
	}
	if options.Mutant != "" {
		return nil, fmt.Errorf("the image has no mutants")
	}
	d := &Containers{options: options, project: fmt.Sprintf("chaos%d", os.Getpid()), ports: []int{0},
		ids: map[int]string{}, expected: map[int]bool{}, trouble: map[[2]int]Trouble{}, stopped: make(chan struct{})}
	held := []net.Listener{}
	for n := 1; n <= options.Replicas; n++ {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		held = append(held, listener)
		d.ports = append(d.ports, listener.Addr().(*net.TCPAddr).Port)
	}
	for _, listener := range held {
		listener.Close()
	}
	return d, nil
}

func (d *Containers) compose(arguments ...string) error {
	base := []string{"docker-compose"}
	if run("docker", "compose", "version") == nil {
		base = []string{"docker", "compose"}
	}
	all := append(base[1:], append([]string{"-p", d.project, "-f", "docker/compose.yml"}, arguments...)...)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, base[0], all...)
	for _, entry := range os.Environ() { // where the engine is, but no settings of the cluster
		if !strings.HasPrefix(entry, "MUSTER_") && !strings.HasPrefix(entry, "COMPOSE_") {
			command.Env = append(command.Env, entry)
		}
	}
	command.Env = append(command.Env, "MUSTER_IMAGE="+d.options.Image, "MUSTER_CLUSTER_SECRET=chaos in a test cluster")
	for n := 1; n < len(d.ports); n++ {
		command.Env = append(command.Env, fmt.Sprintf("MUSTER_PORT_%d=%d", n, d.ports[n]))
	}
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %v: %s", strings.Join(arguments, " "), err, out)
	}
	return nil
}

// container is found by Compose's labels: its name differs between versions.
func (d *Containers) findContainer(n int) string {
	out, err := output("docker", "ps", "-aq", "--filter", "label=com.docker.compose.project="+d.project,
		"--filter", fmt.Sprintf("label=com.docker.compose.service=muster-%d", n))
	if err != nil {
		return "none"
	}
	return strings.TrimSpace(out)
}

func (d *Containers) container(n int) string { return d.ids[n] }

func (d *Containers) inspect(n int, what string) string {
	out, err := output("docker", "inspect", "-f", "{{"+what+"}}", d.container(n))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// Start brings all up and waits until they are ready.
func (d *Containers) Start() error {
	if err := d.compose("up", "-d", "--no-build"); err != nil {
		return err
	}
	for n := 1; n <= d.Size(); n++ {
		d.ids[n] = d.findContainer(n)
	}
	go d.watch()
	if n := AwaitReady(d, 2*readyWithin); n != 0 {
		return fmt.Errorf("replica %d is not ready within %s", n, 2*readyWithin)
	}
	return nil
}

// watch notices restarts by the engine's policy.
func (d *Containers) watch() {
	last := map[int]string{}
	for {
		select {
		case <-d.stopped:
			return
		case <-time.After(time.Second):
		}
		for n := 1; n <= d.Size(); n++ {
			count := d.inspect(n, ".RestartCount")
			if count != "" && count != "0" && count != last[n] {
				d.options.History.AddEnd(endOf(d.options.History, n, "restarted by the engine", d.expects(n)))
			}
			last[n] = count
		}
	}
}

func (d *Containers) expects(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.expected[n]
}

// Close removes containers and volumes.
func (d *Containers) Close(bool) {
	close(d.stopped)
	_ = d.compose("down", "-v", "--timeout", "5")
}

// Size is the number of replicas.
func (d *Containers) Size() int { return d.options.Replicas }

// Members are all replicas: they do not change.
func (d *Containers) Members() []int { return []int{1, 2, 3} }

// ID of a container's member.
func (d *Containers) ID(n int) int { return n }

// Peer is the address that compose.yml gives it.
func (d *Containers) Peer(n int) string { return fmt.Sprintf("muster-%d:9100", n) }

// Join is not possible with containers, nor is what follows.
func (d *Containers) Join(int, int) error { return errOnlyProcesses }

// Learn has nothing to do.
func (d *Containers) Learn(int, int) {}

// Leave is not possible.
func (d *Containers) Leave(int) error { return errOnlyProcesses }

// Move is not possible.
func (d *Containers) Move(n int) string { return d.Peer(n) }

// MoveAll is not possible.
func (d *Containers) MoveAll() {}

// Ended is not possible.
func (d *Containers) Ended(int, time.Duration) (string, bool) { return errOnlyProcesses.Error(), false }

// UpInVain is not possible.
func (d *Containers) UpInVain(int) error { return errOnlyProcesses }

// HasOther is not possible.
func (d *Containers) HasOther(int) bool { return false }

var errOnlyProcesses = fmt.Errorf("only with --on processes")

// URL of a replica's published port.
func (d *Containers) URL(n int) string { return fmt.Sprintf("http://127.0.0.1:%d", d.ports[n]) }

// Means lists the mechanisms in use.
func (d *Containers) Means() []string {
	return []string{"containers of docker/compose.yml", "links: iptables in their namespaces", "signals"}
}

// Can reports what is possible with containers.
func (d *Containers) Can(family string) (bool, string) {
	switch family {
	case "kill", "pause", "partition", "loss", "rolling":
		return true, ""
	}
	return false, errOnlyProcesses.Error()
}

// Up starts a stopped container. Its namespace and addresses are new.
func (d *Containers) Up(n int) error {
	if err := run("docker", "start", d.container(n)); err != nil {
		return err
	}
	d.apply()
	return nil
}

// Kill is kill -9, after which the engine does not restart it.
func (d *Containers) Kill(n int) error { return run("docker", "kill", d.container(n)) }

// Stop is SIGTERM; the exit status must be 0.
func (d *Containers) Stop(n int) error {
	_ = d.Resume(n)
	if err := run("docker", "stop", "-t", "30", d.container(n)); err != nil {
		return err
	}
	if status := d.inspect(n, ".State.ExitCode"); status != "0" {
		return fmt.Errorf("replica %d: exit status %s after SIGTERM", n, status)
	}
	return nil
}

// Pause is SIGSTOP, from outside.
func (d *Containers) Pause(n int) error { return syscall.Kill(d.Pid(n), syscall.SIGSTOP) }

// Resume undoes Pause.
func (d *Containers) Resume(n int) error {
	if pid := d.Pid(n); pid != 0 {
		return syscall.Kill(pid, syscall.SIGCONT)
	}
	return nil
}

// Pid of musterd, seen from here.
func (d *Containers) Pid(n int) int {
	pid, _ := strconv.Atoi(d.inspect(n, ".State.Pid"))
	return pid
}

// Alive reports whether the container runs.
func (d *Containers) Alive(n int) bool { return d.Pid(n) != 0 }

// Refuses is not possible with containers.
func (d *Containers) Refuses(int) (bool, string) { return false, errOnlyProcesses.Error() }

// Wipe is not possible with containers.
func (d *Containers) Wipe(int) error { return errOnlyProcesses }

// Sync has nothing to do.
func (d *Containers) Sync(int) error { return nil }

// SwapIn is not possible with containers.
func (d *Containers) SwapIn(int) error { return errOnlyProcesses }

// SwapOut is not possible with containers.
func (d *Containers) SwapOut(int) error { return errOnlyProcesses }

// DataDir is inside of a volume.
func (d *Containers) DataDir(int) string { return "" }

// Expect allows this replica to exit by itself.
func (d *Containers) Expect(n int, expected bool) {
	d.mu.Lock()
	d.expected[n] = expected
	d.mu.Unlock()
}

// Disk is the engine's.
func (d *Containers) Disk(int) *Disk { return nil }

// SetClock is not possible with containers.
func (d *Containers) SetClock(int, time.Duration) error {
	return errOnlyProcesses
}

// StickLog is not possible: the engine reads the logs.
func (d *Containers) StickLog(int, bool) error { return errOnlyProcesses }

// WaitsForLog is never seen.
func (d *Containers) WaitsForLog(int) bool { return false }

// Hangup is not possible.
func (d *Containers) Hangup(int) error { return errOnlyProcesses }

// Logs of all containers.
func (d *Containers) Logs() map[int]string {
	logs := map[int]string{}
	for n := 1; n <= d.Size(); n++ {
		logs[n], _ = output("docker", "logs", d.container(n))
	}
	return logs
}

// Troubles are applied together: each change runs many programs.
func (d *Containers) Troubles(all map[[2]int]Trouble) {
	d.mu.Lock()
	d.trouble = all
	d.mu.Unlock()
	d.apply()
}

func (d *Containers) iptables(n int, arguments ...string) (string, error) {
	return output(append([]string{"nsenter", "-t", strconv.Itoa(d.Pid(n)), "-n", "iptables", "-w"}, arguments...)...)
}

// apply writes the rules of all running containers: frames are dropped where they arrive.
func (d *Containers) apply() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gather()
	address := map[int]string{}
	for n := 1; n <= d.Size(); n++ {
		address[n] = d.inspect(n, "range .NetworkSettings.Networks}}{{.IPAddress}}{{end")
	}
	for n := 1; n <= d.Size(); n++ {
		if !d.Alive(n) {
			continue
		}
		_, _ = d.iptables(n, "-F", "INPUT")
		for from := 1; from <= d.Size(); from++ {
			t := d.trouble[[2]int{from, n}]
			if address[from] == "" {
				continue
			}
			if t.Cut {
				_, _ = d.iptables(n, "-A", "INPUT", "-s", address[from], "-m", "comment", "--comment", "cut", "-j", "DROP")
			} else if t.Loss > 0 {
				_, _ = d.iptables(n, "-A", "INPUT", "-s", address[from], "-m", "statistic", "--mode", "random", "--probability",
					fmt.Sprintf("%.3f", t.Loss), "-m", "comment", "--comment", "loss", "-j", "DROP")
			}
		}
	}
}

// gather adds up what the rules have dropped, and zeroes them.
func (d *Containers) gather() {
	for n := 1; n <= d.Size(); n++ {
		if !d.Alive(n) {
			continue
		}
		out, err := d.iptables(n, "-L", "INPUT", "-Z", "-nvx")
		if err != nil {
			continue
		}
		for _, line := range strings.Split(out, "\n") {
			fields := strings.Fields(line)
			if len(fields) == 0 {
				continue
			}
			packets, err := strconv.ParseInt(fields[0], 10, 64)
			switch {
			case err != nil:
			case strings.Contains(line, "/* cut */"):
				d.counts.Cut += packets
			case strings.Contains(line, "/* loss */"):
				d.counts.Lost += packets
			}
		}
	}
}

// Touched counts the effects of troubles so far.
func (d *Containers) Touched() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gather()
	return d.counts
}
