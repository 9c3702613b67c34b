package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"muster/jepsen/checker"
	"muster/jepsen/cluster"
	"muster/jepsen/history"
	"muster/jepsen/nemesis"
	"muster/jepsen/workload"
)

type options struct {
	time                              time.Duration
	seed                              int64
	replicas                          int
	on, plant, musterd, image, commit string
	folder                            string
	nemeses                           []string
}

const (
	warmFor     = 8 * time.Second
	warmSkip    = 3 * time.Second // connections and first elections
	calmFor     = 3 * time.Second // load goes on after the last fault
	quietWithin = 40 * time.Second
	equalWithin = 20 * time.Second
	sampleEvery = 250 * time.Millisecond
)

// alarms are words in a log that no run may have.
var alarms = regexp.MustCompile(`ERROR: (?:Address|Leak|Thread)Sanitizer|runtime error:|broken invariant|Assertion .* failed`)

// ofDisk: the watermark cannot be written when the disk is gone, and the process says so in these words.
var ofDisk = regexp.MustCompile(`broken invariant condition="watermark_write`)

func makeCluster(o options, h *history.History) (cluster.Cluster, error) {
	settings := cluster.Options{Folder: o.folder, Musterd: o.musterd, Replicas: o.replicas, Plant: o.plant, Image: o.image, History: h}
	for _, name := range o.nemeses {
		settings.Clocks = settings.Clocks || strings.HasPrefix(name, "clock")
	}
	switch o.on {
	case "processes":
		return cluster.NewProcesses(settings)
	case "docker":
		return cluster.NewDocker(settings)
	}
	return nil, fmt.Errorf("--on is processes or docker")
}

// onInterrupt takes everything away when the user has had enough.
func onInterrupt(c cluster.Cluster) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		c.Close(false)
		fail("interrupted")
	}()
}

// perform runs it, saves the history, and checks it while the data directories are still there to be
// kept.
func perform(o options) (*history.History, *checker.Result, error) {
	if err := os.MkdirAll(o.folder, 0o755); err != nil {
		return nil, nil, err
	}
	// clean.sh leaves the mounts of a run alone while this process lives.
	if err := os.WriteFile(filepath.Join(o.folder, "pid"), []byte(fmt.Sprintln(os.Getpid())), 0o644); err != nil {
		return nil, nil, err
	}
	h := history.New()
	c, err := makeCluster(o, h)
	if err != nil {
		return nil, nil, err
	}
	keep := false
	defer func() { c.Close(keep) }()
	onInterrupt(c)
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	h.Run = history.Run{Seed: o.seed, Commit: o.commit, On: o.on, Replicas: o.replicas, Nemeses: o.nemeses, Plant: o.plant,
		Kernel: strings.TrimSpace(string(kernel)), Means: c.Means(), Started: time.Now().UTC().Format(time.RFC3339),
		Command: fmt.Sprintf("jepsen/run.sh --time %s --nemesis %s --seed %d --replicas %d --on %s", o.time,
			nemesesOf(o), o.seed, o.replicas, o.on)}
	if o.plant != "" {
		h.Run.Command += " --plant " + o.plant
	}
	// Made before anything runs: a fault that is impossible here ends the run at once.
	breaker, err := nemesis.New(c, h, o.seed, o.nemeses, o.time >= 5*time.Minute)
	if err != nil {
		return nil, nil, err
	}
	if err := c.Start(); err != nil {
		keep = true
		return nil, nil, err
	}
	drive(o, h, c, breaker)
	for n, log := range c.Logs() {
		for _, line := range strings.Split(log, "\n") {
			if alarms.MatchString(line) && !ofDisk.MatchString(line) {
				h.AddFinding("does_not_crash", "replica %d: %s", n, line)
			}
		}
	}
	if err := h.Save(o.folder); err != nil {
		return nil, nil, err
	}
	result := checker.Check(h)
	keep = len(result.Violations) > 0 && o.plant == ""
	return h, result, nil
}

func nemesesOf(o options) string {
	if len(o.nemeses) == 0 {
		return "none"
	}
	return strings.Join(o.nemeses, ",")
}

// drive is the run itself: warm up, faults, heal, quiet, compare.
func drive(o options, h *history.History, c cluster.Cluster, breaker *nemesis.Nemesis) {
	urls := []string{}
	for n := 1; n <= c.Size(); n++ {
		urls = append(urls, c.URL(n))
	}
	sampling, stopSampling := context.WithCancel(context.Background())
	sampled := make(chan struct{})
	go sample(sampling, h, c, sampled)
	clients := workload.Start(urls, h, workload.Load{Seed: o.seed, Length: o.time, Streams: true})
	time.Sleep(warmSkip)
	before := h.Count()
	time.Sleep(warmFor - warmSkip)
	h.Run.WarmOps = float64(h.Count()-before) / (warmFor - warmSkip).Seconds()
	h.Run.WarmNs = h.Now()
	fmt.Printf("%.0f operations a second; faults begin\n", h.Run.WarmOps)
	faults, cancel := context.WithTimeout(context.Background(), o.time-warmFor-calmFor)
	if len(o.nemeses) > 0 {
		breaker.Run(faults)
	} else {
		<-faults.Done()
	}
	cancel()
	h.Run.HealedNs = h.Now()
	time.Sleep(calmFor)
	clients.StopWriting()
	awaitQuiet(h, c)
	for n := 1; n <= c.Size(); n++ {
		items, err := workload.Listing(c.URL(n), n, h)
		if err != nil {
			h.AddFinding("serves_after_healing", "%v", err)
		}
		h.AddItems(items)
	}
	clients.Stop()
	finalStates(h, c)
	stopSampling()
	<-sampled
	h.Run.Elections = elections(h)
	h.Run.EndNs = h.Now()
	for n := 1; n <= c.Size(); n++ {
		if err := c.Stop(n); err != nil {
			h.AddFinding("stops_in_time", "%v", err)
		}
	}
}

func sample(until context.Context, h *history.History, c cluster.Cluster, done chan struct{}) {
	defer close(done)
	for until.Err() == nil {
		for n := 1; n <= c.Size(); n++ {
			if health, err := cluster.AskHealth(c, n); err == nil && health.State.Hash != "" {
				h.AddState(stateOf(h, n, health))
			}
		}
		time.Sleep(sampleEvery)
	}
}

func stateOf(h *history.History, n int, health cluster.Health) history.State {
	return history.State{Replica: n, At: h.Now(), Index: health.State.Index, Hash: health.State.Hash, Role: health.Role, Term: health.Term}
}

// awaitQuiet waits until all that fell silent is reaped.
func awaitQuiet(h *history.History, c cluster.Cluster) {
	deadline := time.Now().Add(quietWithin)
	for time.Now().Before(deadline) {
		silent := 0
		for n := 1; n <= c.Size(); n++ {
			items, err := workload.Silent(c.URL(n), n, h)
			if err != nil {
				silent++
			}
			silent += items
		}
		if silent == 0 {
			return
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// finalStates waits until all replicas say the same, and keeps what they say.
func finalStates(h *history.History, c cluster.Cluster) {
	deadline := time.Now().Add(equalWithin)
	for {
		states, equal := []history.State{}, true
		for n := 1; n <= c.Size(); n++ {
			health, err := cluster.AskHealth(c, n)
			if err != nil {
				equal = false
				continue
			}
			states = append(states, stateOf(h, n, health))
			equal = equal && states[0].Index == health.State.Index && states[0].Hash == health.State.Hash
		}
		if (equal && len(states) == c.Size()) || time.Now().After(deadline) {
			for _, state := range states {
				state.Final = true
				h.AddState(state)
			}
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// elections counts terms that had a leader.
func elections(h *history.History) int {
	terms := map[uint64]bool{}
	for _, s := range h.States {
		if s.Role == "leader" {
			terms[s.Term] = true
		}
	}
	return len(terms) - 1
}
