// Package cluster runs real musterd replicas and breaks them: as processes, each in a network namespace
// of its own, or as the containers of docker/compose.yml.
package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"muster/jepsen/history"
)

// Options of a cluster.
type Options struct {
	Folder   string // of the run
	Musterd  string // the program
	Replicas int
	Plant    string // a planted bug, or nothing
	Image    string // of containers
	History  *history.History
	Clocks   bool // wall clocks are to jump: costs a library in between
}

// Cluster is what faults are done to. Replicas are numbered from 1.
type Cluster interface {
	// Start brings all replicas up and waits until they are ready.
	Start() error
	// Close ends everything and takes away what was made; keep leaves the data with the run.
	Close(keep bool)
	Size() int
	// URL of a replica's HTTP API.
	URL(n int) string
	// Means says which mechanisms are in use.
	Means() []string
	// Can says whether a family of faults is possible here, and why not.
	Can(family string) (bool, string)

	Up(n int) error   // starts one that is not running
	Kill(n int) error // kill -9
	Stop(n int) error // SIGTERM, and the exit status must be 0
	Pause(n int) error
	Resume(n int) error
	Alive(n int) bool
	// Refuses starts one whose data was damaged: true when it ends by itself with status 1.
	Refuses(n int) (bool, string)
	// Wipe empties the data directory of one that is not running.
	Wipe(n int) error
	DataDir(n int) string
	// Expect says that this replica may end by itself until Settle.
	Expect(n int, expected bool)

	// Troubles sets what is wrong on the ways from one replica to another; those not named are sound.
	Troubles(all map[[2]int]Trouble)
	// Touched counts what trouble has done so far.
	Touched() Counts
	// Pid of a replica's process; 0 when there is none.
	Pid(n int) int

	Disk(n int) *Disk
	SetClock(n int, offset time.Duration) error
	// Logs of all replicas by number.
	Logs() map[int]string
}

// Health is what the nemesis and the sampler want to know.
type Health struct {
	Role  string `json:"role"`
	Term  uint64 `json:"term"`
	Ready bool   `json:"ready"`
	State struct {
		Index uint64 `json:"index"`
		Hash  string `json:"hash"`
	} `json:"state"`
	Disk struct {
		HasSpace bool `json:"has_space"`
	} `json:"disk"`
	Date time.Time `json:"-"` // the replica's wall clock
}

var asking = &http.Client{Timeout: 400 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}

// AskHealth of one replica.
func AskHealth(c Cluster, n int) (Health, error) {
	var health Health
	answer, err := asking.Get(c.URL(n) + "/health")
	if err != nil {
		return health, err
	}
	defer answer.Body.Close()
	health.Date, _ = http.ParseTime(answer.Header.Get("Date"))
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return health, err
	}
	return health, json.Unmarshal(body, &health)
}

// Leader is the replica that says so with the highest term; 0 when none does.
func Leader(c Cluster) int {
	leader, term := 0, uint64(0)
	for n := 1; n <= c.Size(); n++ {
		health, err := AskHealth(c, n)
		if err == nil && health.Role == "leader" && health.Term >= term {
			leader, term = n, health.Term
		}
	}
	return leader
}

// AwaitLeader waits for one.
func AwaitLeader(c Cluster, within time.Duration) int {
	deadline := time.Now().Add(within)
	for {
		if leader := Leader(c); leader != 0 || time.Now().After(deadline) {
			return leader
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// AwaitReady waits until all say that they can serve; else the number of one that does not.
func AwaitReady(c Cluster, within time.Duration) int {
	deadline := time.Now().Add(within)
	for n := 1; n <= c.Size(); {
		health, err := AskHealth(c, n)
		if err == nil && health.Ready {
			n++
			continue
		}
		if time.Now().After(deadline) {
			return n
		}
		time.Sleep(50 * time.Millisecond)
	}
	return 0
}

func run(arguments ...string) error {
	_, err := output(arguments...)
	return err
}

func output(arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, arguments[0], arguments[1:]...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %v: %s", strings.Join(arguments, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

func endOf(h *history.History, n int, status string, expected bool) history.End {
	return history.End{Replica: n, At: h.Now(), Status: status, Expected: expected}
}
