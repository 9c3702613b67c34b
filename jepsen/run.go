package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"time"

	"muster/jepsen/checker"
	"muster/jepsen/cluster"
	"muster/jepsen/history"
	"muster/jepsen/nemesis"
	"muster/jepsen/workload"
)

type options struct {
	time                               time.Duration
	seed                               int64
	replicas                           int
	on, mutant, musterd, image, commit string
	muster                             string // the command-line tool; "": no programs
	folder                             string
	nemeses                            []string
}

const (
	warmFor     = 8 * time.Second
	warmSkip    = 3 * time.Second // connections and first elections
	calmFor     = 3 * time.Second // load continues after the last fault
	quietWithin = 40 * time.Second
	equalWithin = 20 * time.Second
	sampleEvery = 250 * time.Millisecond
	lookEvery   = 500 * time.Millisecond
	// A run that exceeds its time by more than this hangs: waiting faults, rounds of healing, the end.
	overrunMax = 8 * time.Minute
	endWithin  = 10 * time.Minute // in addition to twice the time of the clients
)

// alarms are words that must not occur in any log.
var alarms = regexp.MustCompile(`ERROR: (?:Address|Leak|Thread)Sanitizer|runtime error:|broken invariant|Assertion .* failed`)

func makeCluster(o options, h *history.History) (cluster.Cluster, error) {
	settings := cluster.Options{Folder: o.folder, Musterd: o.musterd, Replicas: o.replicas, Mutant: o.mutant, Image: o.image, History: h}
	for _, name := range o.nemeses {
		settings.Clocks = settings.Clocks || strings.HasPrefix(name, "clock")
		settings.Other = settings.Other || strings.HasPrefix(name, "fork")
		if strings.HasPrefix(name, "descriptors") {
			settings.Descriptors = nemesis.DescriptorsOfReplica
		}
		if strings.HasPrefix(name, "members") {
			settings.Spares = cluster.Spares
		}
	}
	switch o.on {
	case "processes":
		return cluster.NewProcesses(settings)
	case "docker":
		return cluster.NewDocker(settings)
	}
	return nil, fmt.Errorf("--on is processes or docker")
}

// onInterrupt cleans up when the user interrupts.
func onInterrupt(c cluster.Cluster) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		c.Close(false)
		fail("interrupted")
	}()
}

// endsWithin cleans up and fails if the run has not ended by itself: a hang is never void.
func endsWithin(limit time.Duration, c cluster.Cluster) {
	time.AfterFunc(limit, func() {
		closed := make(chan struct{})
		go func() {
			c.Close(false)
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(time.Minute): // jepsen/clean.sh removes the rest
		}
		fmt.Printf("violation: the run did not end within %s\n", limit)
		os.Exit(exitViolation)
	})
}

// perform runs it, saves the history, and checks it while the data directories can still be
// kept.
func perform(o options) (*history.History, *checker.Result, error) {
	if err := os.MkdirAll(o.folder, 0o755); err != nil {
		return nil, nil, err
	}
	// clean.sh does not touch the mounts of a run while this process lives.
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
	endsWithin(2*o.time+endWithin, c)
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	h.Run = history.Run{Seed: o.seed, Commit: o.commit, On: o.on, Replicas: o.replicas, Nemeses: o.nemeses, Mutant: o.mutant,
		Kernel: strings.TrimSpace(string(kernel)), Means: c.Means(), Started: time.Now().UTC().Format(time.RFC3339),
		Command: fmt.Sprintf("jepsen/run.sh --time %s --nemesis %s --seed %d --replicas %d --on %s", o.time,
			nemesesOf(o), o.seed, o.replicas, o.on)}
	if o.mutant != "" {
		h.Run.Command += " --mutant " + o.mutant
	}
	// Created first: a fault that is impossible here ends the run at once.
	breaker, err := nemesis.New(c, h, o.seed, o.nemeses, o.time >= 5*time.Minute)
	if err != nil {
		return nil, nil, err
	}
	if err := c.Start(); err != nil {
		keep = true
		return nil, nil, err
	}
	hangs := time.AfterFunc(o.time+overrunMax, func() {
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		c.Close(true)
		fail("it did not end within %s of its time", overrunMax)
	})
	drive(o, h, c, breaker)
	hangs.Stop()
	for n, log := range c.Logs() {
		for _, line := range strings.Split(log, "\n") {
			if alarms.MatchString(line) {
				h.AddFinding("does_not_crash", "replica %d: %s", n, line)
			}
		}
	}
	if err := h.Save(o.folder); err != nil {
		return nil, nil, err
	}
	result := checker.Check(h)
	keep = len(result.Violations) > 0 && o.mutant == ""
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
	var samplers sync.WaitGroup
	samplers.Add(2)
	go func() {
		defer samplers.Done()
		sample(sampling, h, c)
	}()
	go func() {
		defer samplers.Done()
		look(sampling, h, c)
	}()
	clients := workload.Start(urls, h, workload.Load{Seed: o.seed, Length: o.time, Streams: true, Members: c.Members})
	programs := &workload.Programs{}
	if o.muster != "" {
		var err error
		if programs, err = workload.StartPrograms(o.muster, o.folder, urls, h); err != nil {
			h.AddFinding("programs_go_on", "%v", err)
		}
	}
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
	checkMembers(h, c)
	for _, n := range c.Members() {
		items, err := workload.Listing(c.URL(n), n, h)
		if err != nil {
			h.AddFinding("serves_after_healing", "%v", err)
		}
		h.AddItems(items)
	}
	clients.Stop()
	programs.Stop()
	finalStates(h, c)
	checkVotes(h, c)
	stopSampling()
	samplers.Wait()
	h.Run.Elections = elections(h)
	h.Run.EndNs = h.Now()
	for n := 1; n <= c.Size(); n++ {
		if err := c.Stop(n); err != nil {
			h.AddFinding("stops_in_time", "%v", err)
		}
	}
}

func sample(until context.Context, h *history.History, c cluster.Cluster) {
	for until.Err() == nil {
		for n := 1; n <= c.Size(); n++ {
			if state, err := askState(h, c, n); err == nil && state.Hash != "" {
				h.AddState(state)
			}
			asked := h.Now()
			if told, err := cluster.AskRoster(c, n); err == nil && told.Leader != 0 {
				h.AddRoster(history.Roster{Replica: n, Member: told.ID, Asked: asked, At: h.Now(), Term: told.Term, Leader: told.Leader, Voters: told.Voters()})
			}
		}
		time.Sleep(sampleEvery)
	}
}

func askState(h *history.History, c cluster.Cluster, n int) (history.State, error) {
	asked := h.Now()
	health, err := cluster.AskHealth(c, n)
	return history.State{Replica: n, Asked: asked, At: h.Now(), Ready: health.Ready, Index: health.State.Index,
		Hash: health.State.Hash, Role: health.Role, Term: health.Term, Life: health.Life}, err
}

// look records which cluster's instances each replica shows, if another cluster exists.
func look(until context.Context, h *history.History, c cluster.Cluster) {
	for until.Err() == nil && h.Run.Other != "" {
		for n := 1; n <= c.Size(); n++ {
			if sight, ok := cluster.Sees(c, n, h); ok {
				h.AddSight(sight)
			}
		}
		time.Sleep(lookEvery)
	}
}

// checkVotes: at the end each replica has a vote under its present life, whichever were emptied.
func checkVotes(h *history.History, c cluster.Cluster) {
	cluster.AwaitReady(c, equalWithin)
	for _, n := range c.Members() {
		if health, votes := cluster.AskVote(c, n); !votes {
			h.AddFinding("the_emptied_are_let_in", "at the end replica %d is not ready, or its life %s has no vote: phase '%s', ready %t", n,
				health.Life, health.Phase, health.Ready)
		}
	}
}

// checkMembers: if members change, all of them list the right members at the end.
func checkMembers(h *history.History, c cluster.Cluster) {
	h.Run.MembersAtEnd = c.Members()
	if c.Size() == len(h.Run.MembersAtEnd) {
		return
	}
	if wrong := cluster.AwaitRoster(c, equalWithin); wrong != "" {
		h.AddFinding("members_are_as_asked", "at the end %s", wrong)
	}
}

// awaitQuiet waits until all silent instances have been reaped.
func awaitQuiet(h *history.History, c cluster.Cluster) {
	deadline := time.Now().Add(quietWithin)
	for time.Now().Before(deadline) {
		silent := 0
		for _, n := range c.Members() {
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

// finalStates waits until all replicas have the same state, and records it.
func finalStates(h *history.History, c cluster.Cluster) {
	deadline := time.Now().Add(equalWithin)
	for {
		states, equal := []history.State{}, true
		for _, n := range c.Members() {
			state, err := askState(h, c, n)
			if err != nil {
				equal = false
				continue
			}
			states = append(states, state)
			equal = equal && states[0].Index == state.Index && states[0].Hash == state.Hash
		}
		if (equal && len(states) == len(c.Members())) || time.Now().After(deadline) {
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
