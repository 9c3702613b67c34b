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
	Other    bool // another cluster is formed first, whose directories are kept for SwapIn
	Spares   int  // machines that are no members yet
	// Descriptors that a replica may have; 0: as many as it gets. Few are soon taken.
	Descriptors int
}

// Cluster is what faults are done to. Replicas, one a machine, are numbered from 1.
type Cluster interface {
	// Start brings all replicas up and waits until they are ready.
	Start() error
	// Close ends everything and takes away what was made; keep leaves the data with the run.
	Close(keep bool)
	// Size is the number of machines; Members are those that are members now, or about to be.
	Size() int
	Members() []int
	ID(n int) int // of the member that a machine is
	Peer(n int) string
	// Join starts a machine with nothing as a member: id 0 is found by the cluster, and told to Learn.
	Join(n, id int) error
	Learn(n, id int)
	Leave(n int) error // no member any more, and nothing left
	Move(n int) string // another address from its next start on
	MoveAll()
	// Ended waits for a process that ends by itself, UpInVain starts one.
	Ended(n int, within time.Duration) (string, bool)
	UpInVain(n int) error
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
	// Wipe empties the data directory of one that is not running: it comes back as another life.
	Wipe(n int) error
	// SwapIn gives one that is not running the directory of the other cluster; SwapOut its own again.
	SwapIn(n int) error
	SwapOut(n int) error
	HasOther(n int) bool
	DataDir(n int) string
	// Sync makes durable what was changed there by others than the replica.
	Sync(n int) error
	// Expect says that this replica may end by itself until Settle.
	Expect(n int, expected bool)

	// Troubles sets what is wrong on the ways from one replica to another; those not named are sound.
	Troubles(all map[[2]int]Trouble)
	// Touched counts what trouble has done so far.
	Touched() Counts
	// Pid of a replica's process; 0 when there is none.
	Pid(n int) int

	// StickLog makes the reader of a replica's stderr stand still, or go on; Hangup is worth a line to it.
	StickLog(n int, stuck bool) error
	WaitsForLog(n int) bool
	Hangup(n int) error

	Disk(n int) *Disk
	SetClock(n int, offset time.Duration) error
	// Logs of all replicas by number.
	Logs() map[int]string
}

// Health is what the nemesis and the sampler want to know.
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

// AskCluster gives the cluster id that a replica believes in.
func AskCluster(c Cluster, n int) (string, error) {
	var told struct {
		Cluster string `json:"cluster"`
	}
	_, err := ask(c, n, "/cluster", &told)
	return told.Cluster, err
}

// AskVote says whether a replica is ready, and has a vote by the life that it has now: it lists itself so.
func AskVote(c Cluster, n int) (Health, bool) {
	health, err := AskHealth(c, n)
	if err != nil || !health.Ready {
		return health, false
	}
	told, err := AskRoster(c, n)
	return health, err == nil && hasVote(told.Members, health.ID, health.Life)
}

// hasVote: a member is listed twice for a moment, by its earlier and by its later life.
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

// Leader is the replica that says so with the highest term; 0 when none does.
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

// AwaitReady waits until all say that they can serve, and have a vote by the lives that they have now;
// else the number of one that does not.
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
