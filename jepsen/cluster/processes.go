package cluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	readyWithin = 30 * time.Second
	stopWithin  = 30 * time.Second
	subnets     = 128
	fakeTime    = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
)

type replica struct {
	n        int
	command  *exec.Cmd
	ended    chan struct{} // closed once the process is gone
	status   string
	expected bool // may exit by itself
	stderr   *stderr
	disk     *Disk
	folder   string // of its directories, if it has no disk of its own
	member   bool
	id       int    // of the member
	joins    bool   // it joined by --join
	list     string // its --cluster, otherwise
	moves    int    // number of address changes
	foreign  bool   // it has the other cluster's directory
}

// Processes is a cluster of musterd processes in network namespaces: clients reach each over a bridge,
// the replicas reach each other over our own wire.
type Processes struct {
	options Options
	prefix  string
	subnet  int
	claim   net.Listener // of the subnet
	wire    *wire
	mu      sync.Mutex
	all     map[int]*replica
	first   string // the original --cluster
	noDisk  string // why replicas have no disks of their own
	noClock string
}

// NewProcesses creates the network and the disks; nothing runs yet.
func NewProcesses(options Options) (*Processes, error) {
	subnet, claim, err := claimSubnet()
	if err != nil {
		return nil, err
	}
	p := &Processes{options: options, all: map[int]*replica{},
		prefix: fmt.Sprintf("mj%d", os.Getpid()%100000), subnet: subnet, claim: claim}
	if _, err := os.Stat(fakeTime); err != nil {
		p.noClock = "libfaketime is missing"
	} else if !options.Clocks {
		p.noClock = "not asked for"
	}
	ports := map[int]*os.File{}
	if err := p.makeBridge(); err != nil {
		p.Close(false)
		return nil, err
	}
	for n := 1; n <= p.Size(); n++ {
		r := &replica{n: n, member: n <= options.Replicas, folder: filepath.Join(options.Folder, fmt.Sprintf("replica-%d", n))}
		p.all[n] = r
		port, err := p.makeNamespace(n)
		if err != nil {
			p.Close(false)
			return nil, err
		}
		ports[n] = port
		if r.disk, err = newDisk(options.Folder, n); err != nil {
			p.noDisk, r.disk = err.Error(), nil
		}
		if r.member {
			r.id = n
		}
	}
	p.first = p.list()
	for _, r := range p.all {
		r.list = p.first
	}
	p.wire = newWire(ports)
	return p, nil
}

// claimSubnet returns the second byte of addresses that no other run on this machine uses. The claim is an
// abstract socket, which ends with the process at the latest.
func claimSubnet() (int, net.Listener, error) {
	for try := 0; try < subnets; try++ {
		subnet := 64 + (os.Getpid()+try)%subnets
		claim, err := net.Listen("unix", fmt.Sprintf("@muster-jepsen-%d", subnet))
		if err == nil {
			return subnet, claim, nil
		}
	}
	return 0, nil, errors.New("no subnet is free")
}

func (p *Processes) namespace(n int) string { return fmt.Sprintf("%s-%d", p.prefix, n) }
func (p *Processes) bridge() string         { return p.prefix + "b" }
func (p *Processes) outside(n int) string   { return fmt.Sprintf("10.%d.1.%d", p.subnet, n) }
func (p *Processes) inside(n int) string    { return fmt.Sprintf("10.%d.2.%d", p.subnet, n) }

func (p *Processes) makeBridge() error {
	for _, command := range []string{
		"ip link add " + p.bridge() + " type bridge",
		fmt.Sprintf("ip addr add 10.%d.1.254/24 dev %s", p.subnet, p.bridge()),
		"ip link set " + p.bridge() + " up",
	} {
		if err := run(strings.Fields(command)...); err != nil {
			return err
		}
	}
	return nil
}

func (p *Processes) makeNamespace(n int) (*os.File, error) {
	ns, veth, tap := p.namespace(n), fmt.Sprintf("%sv%d", p.prefix, n), fmt.Sprintf("%st%d", p.prefix, n)
	if err := run("ip", "netns", "add", ns); err != nil {
		return nil, err
	}
	port, err := openTap(tap)
	if err != nil {
		return nil, err
	}
	for _, command := range []string{
		"ip link add " + veth + " type veth peer name http0 netns " + ns,
		"ip link set " + veth + " master " + p.bridge() + " up",
		"ip -n " + ns + " addr add " + p.outside(n) + "/24 dev http0",
		"ip -n " + ns + " link set http0 up",
		"ip -n " + ns + " link set lo up",
		"ip link set " + tap + " address " + macOf(n) + " netns " + ns,
		"ip -n " + ns + " addr add " + p.inside(n) + "/24 dev " + tap,
		"ip -n " + ns + " addr add " + p.inside(n+secondAddress) + "/24 dev " + tap,
		"ip -n " + ns + " link set " + tap + " up",
	} {
		if err := run(strings.Fields(command)...); err != nil {
			port.Close()
			return nil, err
		}
	}
	return port, nil
}

// URL of a replica's HTTP API.
func (p *Processes) URL(n int) string { return "http://" + p.outside(n) + ":9000" }

// DataDir of a replica.
func (p *Processes) DataDir(n int) string { return p.dir(n, "data") }

// dir is one of the directories that a replica has.
func (p *Processes) dir(n int, name string) string {
	if d := p.all[n].disk; d != nil {
		return filepath.Join(d.mount, name)
	}
	return filepath.Join(p.all[n].folder, name)
}

// Disk of a replica; nil: none of its own.
func (p *Processes) Disk(n int) *Disk { return p.all[n].disk }

// Means lists the mechanisms in use.
func (p *Processes) Means() []string {
	means := []string{"network namespaces", "links: TAP devices and a switch in this process", "signals"}
	if p.noDisk == "" {
		means = append(means, "disks: ext4 on loop devices, EXT4_IOC_SHUTDOWN, fsfreeze")
	}
	if p.noClock == "" {
		means = append(means, "clocks: libfaketime, the monotonic clock left alone")
	}
	return means
}

// Can reports whether a family of faults is possible here.
func (p *Processes) Can(family string) (bool, string) {
	switch family {
	case "disk-full", "io-error", "power", "disk-stuck":
		return p.noDisk == "", p.noDisk
	case "clock":
		return p.noClock == "", p.noClock
	}
	return true, ""
}

func (p *Processes) clockFile(n int) string {
	return filepath.Join(p.options.Folder, fmt.Sprintf("clock-%d", n))
}

// SetClock moves the wall clock of one replica.
func (p *Processes) SetClock(n int, offset time.Duration) error {
	return os.WriteFile(p.clockFile(n), []byte(fmt.Sprintf("%+d\n", int64(offset/time.Second))), 0o644)
}

// environment of a replica: only the paths of programs and libraries.
func (p *Processes) environment(n int) []string {
	kept := []string{}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"} {
		if value, set := os.LookupEnv(name); set {
			kept = append(kept, name+"="+value)
		}
	}
	kept = append(kept, "MUSTER_CLUSTER_SECRET=chaos in a test cluster",
		"ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:verify_asan_link_order=0", "UBSAN_OPTIONS=print_stacktrace=1")
	if p.noClock == "" {
		kept = append(kept, "LD_PRELOAD="+fakeTime, "FAKETIME_TIMESTAMP_FILE="+p.clockFile(n),
			"FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1", "FAKETIME_CACHE_DURATION=1")
	}
	if p.options.Mutant != "" {
		kept = append(kept, "CHAOS_MUTANT="+p.options.Mutant, fmt.Sprintf("CHAOS_MEMBER=%d", n))
	}
	return kept
}

// Up starts a stopped replica.
func (p *Processes) Up(n int) error { return p.up(n, false) }

// up starts one that may exit by itself, or not.
func (p *Processes) up(n int, expected bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.all[n]
	if r.alive() {
		return nil
	}
	if r.disk != nil {
		if err := r.disk.Mount(); err != nil {
			return err
		}
	} else if err := os.MkdirAll(r.folder, 0o755); err != nil {
		return err
	}
	if p.noClock == "" {
		if _, err := os.Stat(p.clockFile(n)); err != nil {
			if err := p.SetClock(n, 0); err != nil {
				return err
			}
		}
	}
	log, err := os.OpenFile(p.logFile(n), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	piped, writer, err := newStderr(log)
	if err != nil {
		log.Close()
		return err
	}
	defer writer.Close()
	// nsenter becomes the program itself: the pid is musterd's.
	command := exec.Command("nsenter", p.arguments(n)...)
	command.Env, command.Stdout, command.Stderr = p.environment(n), writer, writer
	if err := command.Start(); err != nil {
		return err
	}
	r.command, r.ended, r.expected, r.stderr = command, make(chan struct{}), expected, piped
	go p.watch(r, command, r.ended, piped)
	return nil
}

// watch records the end of a process; an unexpected one is a violation.
func (p *Processes) watch(r *replica, command *exec.Cmd, ended chan struct{}, piped *stderr) {
	_ = command.Wait()
	piped.settled()
	p.mu.Lock()
	r.status = command.ProcessState.String()
	expected := r.expected
	close(ended)
	p.mu.Unlock()
	p.options.History.AddEnd(endOf(p.options.History, r.n, r.status, expected))
}

func (r *replica) alive() bool {
	if r.command == nil {
		return false
	}
	select {
	case <-r.ended:
		return false
	default:
		return true
	}
}

// Alive reports whether the process exists.
func (p *Processes) Alive(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[n].alive()
}

// Expect allows this replica to exit by itself.
func (p *Processes) Expect(n int, expected bool) {
	p.mu.Lock()
	p.all[n].expected = expected
	p.mu.Unlock()
}

func (p *Processes) signal(n int, what syscall.Signal, expected bool) (chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.all[n]
	if !r.alive() {
		return nil, nil
	}
	r.expected = r.expected || expected
	return r.ended, r.command.Process.Signal(what)
}

// Kill is kill -9.
func (p *Processes) Kill(n int) error {
	ended, err := p.signal(n, syscall.SIGKILL, true)
	if errors.Is(err, os.ErrProcessDone) {
		return nil // it has exited already: its disk has failed
	}
	if err != nil || ended == nil {
		return err
	}
	select {
	case <-ended:
		return nil
	case <-time.After(stopWithin):
		return fmt.Errorf("replica %d does not die of SIGKILL", n)
	}
}

// Stop is SIGTERM; the exit status must be 0.
func (p *Processes) Stop(n int) error {
	_ = p.Resume(n)
	ended, err := p.signal(n, syscall.SIGTERM, true)
	if err != nil || ended == nil {
		return err
	}
	select {
	case <-ended:
	case <-time.After(stopWithin):
		return fmt.Errorf("replica %d does not stop within %s of SIGTERM", n, stopWithin)
	}
	if p.all[n].status != "exit status 0" {
		return fmt.Errorf("replica %d: %s after SIGTERM", n, p.all[n].status)
	}
	return nil
}

// Pause is SIGSTOP.
func (p *Processes) Pause(n int) error {
	_, err := p.signal(n, syscall.SIGSTOP, false)
	return err
}

// Resume undoes Pause.
func (p *Processes) Resume(n int) error {
	_, err := p.signal(n, syscall.SIGCONT, false)
	return err
}

// Refuses starts a damaged replica: it must exit by itself with status 1.
func (p *Processes) Refuses(n int) (bool, string) {
	if err := p.up(n, true); err != nil {
		return false, err.Error()
	}
	status, _ := p.Ended(n, 5*time.Second)
	return status == "exit status 1", status
}

// Wipe empties the data directory. If its list is out of date, it finds the members by --join.
func (p *Processes) Wipe(n int) error {
	if err := os.RemoveAll(p.DataDir(n)); err != nil {
		return err
	}
	p.mu.Lock()
	if p.all[n].list != p.list() {
		p.all[n].joins = true // its list is out of date
	}
	p.mu.Unlock()
	return p.Sync(n)
}

// Sync makes our changes in a replica's directories durable: a power loss must not undo them.
func (p *Processes) Sync(n int) error { return run("sync", "-f", filepath.Dir(p.DataDir(n))) }

// Troubles sets the troubles of links between replicas.
func (p *Processes) Troubles(all map[[2]int]Trouble) { p.wire.set(all) }

// Touched counts the effects of troubles so far.
func (p *Processes) Touched() Counts { return p.wire.count() }

// Pid of a replica's process; 0: none.
func (p *Processes) Pid(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.all[n].alive() {
		return 0
	}
	return p.all[n].command.Process.Pid
}

// Start brings all replicas up.
func (p *Processes) Start() error {
	if p.options.Other {
		if err := p.formOther(); err != nil {
			return fmt.Errorf("the other cluster: %w", err)
		}
	}
	if err := p.upAll(); err != nil {
		return err
	}
	if !p.options.Other {
		return nil
	}
	var err error
	p.options.History.Run.Cluster, err = AskCluster(p, 1)
	return err
}

func (p *Processes) upAll() error {
	for _, n := range p.Members() {
		if err := p.Up(n); err != nil {
			return err
		}
	}
	if n := AwaitReady(p, readyWithin); n != 0 {
		return fmt.Errorf("replica %d is not ready within %s; see %s", n, readyWithin, p.logFile(n))
	}
	return nil
}

func (p *Processes) logFile(n int) string {
	return filepath.Join(p.options.Folder, fmt.Sprintf("musterd-%d.log", n))
}

// Logs of all replicas.
func (p *Processes) Logs() map[int]string {
	logs := map[int]string{}
	for n := range p.all {
		text, _ := os.ReadFile(p.logFile(n))
		logs[n] = string(text)
	}
	return logs
}

// Close ends the processes by their handles and removes the network and the disks.
func (p *Processes) Close(keep bool) {
	for n, r := range p.all {
		if r.stderr != nil {
			r.stderr.stick(false)
		}
		if r.alive() {
			_ = p.Resume(n)
			_ = p.Kill(n)
		}
		if r.disk != nil {
			if keep {
				_ = os.MkdirAll(r.folder, 0o755)
				for _, name := range []string{"data", "own", "before"} {
					_ = run("cp", "-a", "--sparse=always", p.dir(n, name), r.folder)
				}
			}
			if r.disk.Unmount() == nil {
				_ = os.Remove(r.disk.image)
				_ = os.Remove(r.disk.mount)
			}
		}
		_ = run("ip", "netns", "del", p.namespace(n))
		_ = run("ip", "link", "del", fmt.Sprintf("%sv%d", p.prefix, n))
	}
	if p.wire != nil {
		p.wire.close()
	}
	_ = run("ip", "link", "del", p.bridge())
	_ = p.claim.Close()
}
