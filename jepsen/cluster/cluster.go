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
	Mutant   string // its name; "": none
	Image    string // of containers
	History  *history.History
	Clocks   bool // wall clocks will jump: needs a preloaded library
	Other    bool // another cluster is formed first, whose directories are kept for SwapIn
	Spares   int  // machines that are not members yet
	// Descriptors of a replica; 0: the default. Few are soon exhausted.
	Descriptors int
}

// Cluster is the target of faults. Replicas, one per machine, are numbered from 1.
type Cluster interface {
	// Start brings all replicas up and waits until they are ready.
	Start() error
	// Close ends everything and cleans up; keep leaves the data in the run's folder.
	Close(keep bool)
	// Size is the number of machines; Members are those that are members now, or about to be.
	Size() int
	Members() []int
	ID(n int) int // of a machine's member
	Peer(n int) string
	// Join starts an empty machine as a member; for id 0 the cluster chooses one, which is passed to Learn.
	Join(n, id int) error
	Learn(n, id int)
	Leave(n int) error // stops being a member; its data is removed
	Move(n int) string // to another address, from its next start on
	MoveAll()
	// Ended waits for a process that exits by itself; UpInVain starts one.
	Ended(n int, within time.Duration) (string, bool)
	UpInVain(n int) error
	// URL of a replica's HTTP API.
	URL(n int) string
	// Means lists the mechanisms in use.
	Means() []string
	// Can reports whether a family of faults is possible here, and why not.
	Can(family string) (bool, string)

	Up(n int) error   // starts one that is not running
	Kill(n int) error // kill -9
	Stop(n int) error // SIGTERM; the exit status must be 0
	Pause(n int) error
	Resume(n int) error
	Alive(n int) bool
	// Refuses starts one with damaged data: true if it exits by itself with status 1.
	Refuses(n int) (bool, string)
	// Wipe empties the data directory of one that is not running: it comes back as a new life.
	Wipe(n int) error
	// SwapIn gives one that is not running the directory of the other cluster; SwapOut its own again.
	SwapIn(n int) error
	SwapOut(n int) error
	HasOther(n int) bool
	DataDir(n int) string
	// Sync makes changes there by others than the replica durable.
	Sync(n int) error
	// Expect allows this replica to exit by itself until Settle.
	Expect(n int, expected bool)

	// Troubles sets the troubles of links between replicas; other links have none.
	Troubles(all map[[2]int]Trouble)
	// Touched counts the effects of troubles so far.
	Touched() Counts
	// Pid of a replica's process; 0: none.
	Pid(n int) int

	// StickLog stops the reader of a replica's stderr, or lets it continue; Hangup produces a log line.
	StickLog(n int, stuck bool) error
	WaitsForLog(n int) bool
	Hangup(n int) error

	Disk(n int) *Disk
	SetClock(n int, offset time.Duration) error
	// Logs of all replicas by number.
	Logs() map[int]string
}

// Health has what the nemesis and the sampler need.
type Health struct {
	ID    int    `json:"id"`
	Role  string `json:"role"`
	Term  uint64 `json:"term"`
	Ready bool   `json:"ready"`
	Phase string `json:"phase"` // forming, waiting, member
	Life  string `json:"life"`
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
	header, err := ask(c, n, "/health", &health)
	health.Date, _ = http.ParseTime(header.Get("Date"))
	return health, err
}

// AskCluster returns the cluster id that a replica reports.
func AskCluster(c Cluster, n int) (string, error) {
	var told struct {
		Cluster string `json:"cluster"`
	}
	_, err := ask(c, n, "/cluster", &told)
	return told.Cluster, err
}

// AskVote reports whether a replica is ready, and has a vote under its present life, by its own list.
func AskVote(c Cluster, n int) (Health, bool) {
	health, err := AskHealth(c, n)
	if err != nil || !health.Ready {
		return health, false
	}
	told, err := AskRoster(c, n)
	return health, err == nil && hasVote(told.Members, health.ID, health.Life)
}

// hasVote: for a moment a member is listed twice, under its earlier and its later life.
func hasVote(members []Member, id int, life string) bool {
	for _, m := range members {
		if m.ID == id && m.Life == life && m.Role == "voter" {
			return true
		}
	}
	return false
}

func ask(c Cluster, n int, path string, into interface{}) (http.Header, error) {
	answer, err := asking.Get(c.URL(n) + path)
	if err != nil {
		return http.Header{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return answer.Header, err
	}
	return answer.Header, json.Unmarshal(body, into)
}

// Leader is the replica that claims the highest term; 0: none does.
func Leader(c Cluster) int {
	leader, term := 0, uint64(0)
	for _, n := range c.Members() {
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

// AwaitReady waits until all report that they are ready, and have votes under their present lives;
// otherwise returns the number of one that does not.
func AwaitReady(c Cluster, within time.Duration) int {
	deadline := time.Now().Add(within)
	for _, n := range c.Members() {
		for {
			if _, votes := AskVote(c, n); votes {
				break
			}
			if time.Now().After(deadline) {
				return n
			}
			time.Sleep(50 * time.Millisecond)
		}
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
