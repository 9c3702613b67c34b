// Package history records a run: operations, stream events, faults, states, ends of processes. It is
// saved as JSON lines and can be checked again at any time.
//
// All times are nanoseconds of this process's monotonic clock since the run began.
package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Outcome is what a client knows of an operation.
type Outcome string

const (
	OK      Outcome = "ok"      // done, or definitely refused (404, 409)
	Refused Outcome = "refused" // surely not done
	Unknown Outcome = "unknown" // may or may not have happened: 504, broken connections, silence
)

// Kinds of operations.
const (
	Register   = "register"
	Update     = "update" // register with an incarnation
	Heartbeat  = "heartbeat"
	Deregister = "deregister"
	Get        = "get"
	List       = "list"
	Poll       = "poll"
)

// Op is one request and its outcome.
type Op struct {
	Client      string  `json:"client"`
	Replica     int     `json:"replica"`
	Kind        string  `json:"kind"`
	Mode        string  `json:"mode,omitempty"` // consistency of a read: stale, linearizable, min_index
	Set         string  `json:"set,omitempty"`  // the set of the instance: reg, ledger, live, silent, flap
	Key         string  `json:"key"`            // id of an instance, or name of a service
	Call        int64   `json:"call"`
	Return      int64   `json:"return"`
	Outcome     Outcome `json:"outcome"`
	Status      int     `json:"status"`
	Value       int     `json:"value,omitempty"`       // port: written or read
	Said        uint64  `json:"said,omitempty"`        // incarnation in the request
	Incarnation uint64  `json:"incarnation,omitempty"` // incarnation in the answer
	Index       uint64  `json:"index,omitempty"`       // index in the answer's body
	Applied     uint64  `json:"applied,omitempty"`     // X-Muster-Applied-Index
	MinIndex    uint64  `json:"min_index,omitempty"`
	Health      string  `json:"health,omitempty"`
	TTLMs       int64   `json:"ttl_ms,omitempty"`
	Count       int     `json:"count,omitempty"` // instances listed
	Digest      uint64  `json:"digest,omitempty"`
	Waited      bool    `json:"waited,omitempty"` // a blocking query that timed out
	Foreign     bool    `json:"-"`                // the replica had another cluster's directory: sessions ignore it
}

// Seen is one item received by a reader of events.
type Seen struct {
	Reader      string `json:"reader"`
	Filter      string `json:"filter,omitempty"` // service, or empty for all
	Replica     int    `json:"replica"`
	At          int64  `json:"at"`
	What        string `json:"what"` // start, event, bookmark, reset, present, synced, cut
	Index       uint64 `json:"index"`
	Position    uint64 `json:"position"`
	Event       string `json:"event,omitempty"`
	ID          string `json:"id,omitempty"`
	Service     string `json:"service,omitempty"`
	Value       int    `json:"value,omitempty"`
	Incarnation uint64 `json:"incarnation,omitempty"`
	Health      string `json:"health,omitempty"`
	Changed     uint64 `json:"changed,omitempty"` // the instance's own index
}

// State is a replica's GET /health.
type State struct {
	Replica int    `json:"replica"`
	Asked   int64  `json:"asked"`
	At      int64  `json:"at"`
	Ready   bool   `json:"ready"`
	Index   uint64 `json:"index"`
	Hash    string `json:"hash"`
	Role    string `json:"role"`
	Term    uint64 `json:"term"`
	Life    string `json:"life,omitempty"`
	Final   bool   `json:"final,omitempty"` // after healing
}

// Roster is a replica's view of the leader, from its list of members.
type Roster struct {
	Replica int    `json:"replica"`
	Member  int    `json:"member"` // its id
	Asked   int64  `json:"asked"`
	At      int64  `json:"at"`
	Term    uint64 `json:"term"`
	Leader  int    `json:"leader"` // id of the member
	Voters  []int  `json:"voters"`
}

// Removal is a removed life of a member, acknowledged, and the term in which that was known.
type Removal struct {
	Replica int    `json:"replica"`
	Member  int    `json:"member"`
	Life    string `json:"life"`
	Term    uint64 `json:"term"`
	At      int64  `json:"at"`
}

// Fault is one fault of the run.
type Fault struct {
	Kind    string `json:"kind"`
	Targets []int  `json:"targets"`
	Detail  string `json:"detail"`
	From    int64  `json:"from"`
	To      int64  `json:"to"`
	Bit     int64  `json:"bit"`   // how often it had an effect; 0 makes the run void
	Proof   string `json:"proof"` // what was counted
	Error   string `json:"error,omitempty"`
}

// Foreign is a reason for Away: the replica has another cluster's directory.
const Foreign = "foreign"

// Away is a period in which a replica's address is not a member of this cluster.
type Away struct {
	Replica int    `json:"replica"`
	Why     string `json:"why"`
	From    int64  `json:"from"` // the member's own process is gone
	To      int64  `json:"to"`   // and so is the other one; 0: until the end
}

// Covers reports whether it includes all of this period.
func (a Away) Covers(replica int, from, to int64) bool {
	return a.Replica == replica && a.From <= from && (a.To == 0 || to <= a.To)
}

// Touches reports whether it overlaps this period.
func (a Away) Touches(replica int, from, to int64) bool {
	return a.Replica == replica && a.From <= to && (a.To == 0 || from <= a.To)
}

// ForeignPrefix starts the ids of the other cluster only.
const ForeignPrefix = "fork-"

// Sight is which cluster's instances a replica showed while it reported this cluster id.
type Sight struct {
	Replica int    `json:"replica"`
	At      int64  `json:"at"`
	Cluster string `json:"cluster"`
	Ready   bool   `json:"ready"`
	Ours    int    `json:"ours"`   // ids of this cluster in the listed services
	Theirs  int    `json:"theirs"` // ids of the other one, which has no others
	OurID   string `json:"our_id,omitempty"`
	TheirID string `json:"their_id,omitempty"` // one of them
}

// Count counts one id.
func (s *Sight) Count(id string) {
	if strings.HasPrefix(id, ForeignPrefix) {
		s.Theirs, s.TheirID = s.Theirs+1, id
	} else {
		s.Ours, s.OurID = s.Ours+1, id
	}
}

// End is a process that ended.
type End struct {
	Replica  int    `json:"replica"`
	At       int64  `json:"at"`
	Status   string `json:"status"`
	Expected bool   `json:"expected"` // it was killed, or had a cause to end
}

// Finding is a violation found during the run, not by a checker of the history.
type Finding struct {
	Name   string `json:"name"`
	Detail string `json:"detail"`
	At     int64  `json:"at"`
}

// Item is one instance of the final listing.
type Item struct {
	Replica     int    `json:"replica"`
	ID          string `json:"id"`
	Value       int    `json:"value"`
	Incarnation uint64 `json:"incarnation"`
	Health      string `json:"health"`
}

// Run describes the run and how to repeat it.
type Run struct {
	Seed      int64    `json:"seed"`
	Commit    string   `json:"commit"`
	Command   string   `json:"command"`
	On        string   `json:"on"`
	Replicas  int      `json:"replicas"`
	Nemeses   []string `json:"nemeses"`
	Mutant    string   `json:"plant,omitempty"` // the name in recorded runs
	Kernel    string   `json:"kernel"`
	Means     []string `json:"means"` // mechanisms used for the faults
	Started   string   `json:"started"`
	WarmNs    int64    `json:"warm_ns"`   // faults start here
	HealedNs  int64    `json:"healed_ns"` // and have all ended here
	EndNs     int64    `json:"end_ns"`
	WarmOps   float64  `json:"warm_ops_per_second"`
	Elections int      `json:"elections"`
	Cluster   string   `json:"cluster,omitempty"` // its id, if another one was formed, too
	Other     string   `json:"other,omitempty"`   // the id of that one
	// OtherWrites is the number acknowledged by the other cluster; each of its directories has them.
	OtherWrites int `json:"other_writes,omitempty"`
	// MembersAtEnd are the replicas that were members at the end, if members may change.
	MembersAtEnd []int `json:"members_at_end,omitempty"`
	// Programs ran under `muster run`, as these ids.
	Programs []string `json:"programs,omitempty"`
}

// History collects from all goroutines.
type History struct {
	mu       sync.Mutex
	began    time.Time
	Run      Run
	Ops      []Op
	Seen     []Seen
	States   []State
	Faults   []Fault
	Ends     []End
	Findings []Finding
	Items    []Item
	Aways    []Away
	Sights   []Sight
	Rosters  []Roster
	Removals []Removal
}

// New starts the clock.
func New() *History { return &History{began: time.Now()} }

// Now is the time since the run began.
func (h *History) Now() int64 { return int64(time.Since(h.began)) }

// Add records an operation.
func (h *History) Add(op Op) {
	h.mu.Lock()
	h.Ops = append(h.Ops, op)
	h.mu.Unlock()
}

// AddSeen records an item of a reader of events.
func (h *History) AddSeen(seen Seen) {
	h.mu.Lock()
	h.Seen = append(h.Seen, seen)
	h.mu.Unlock()
}

// AddState records a replica's state.
func (h *History) AddState(state State) {
	h.mu.Lock()
	h.States = append(h.States, state)
	h.mu.Unlock()
}

// AddFault records a fault that has ended.
func (h *History) AddFault(fault Fault) {
	h.mu.Lock()
	h.Faults = append(h.Faults, fault)
	h.mu.Unlock()
}

// AddAway records a period that starts now; EndAway ends it.
func (h *History) AddAway(replica int, why string) {
	h.mu.Lock()
	h.Aways = append(h.Aways, Away{Replica: replica, Why: why, From: h.Now()})
	h.mu.Unlock()
}

// EndAway ends the last one of a replica.
func (h *History) EndAway(replica int) {
	h.mu.Lock()
	for i := len(h.Aways) - 1; i >= 0; i-- {
		if h.Aways[i].Replica == replica {
			h.Aways[i].To = h.Now()
			break
		}
	}
	h.mu.Unlock()
}

// ForeignTurns counts the exchanges of the replica's directory: odd while it is another cluster's.
func (h *History) ForeignTurns(replica int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	turns := 0
	for _, a := range h.Aways {
		if a.Replica == replica && a.Why == Foreign {
			turns++
			if a.To != 0 {
				turns++
			}
		}
	}
	return turns
}

// AddSight records which cluster's instances a replica showed.
func (h *History) AddSight(sight Sight) {
	h.mu.Lock()
	h.Sights = append(h.Sights, sight)
	h.mu.Unlock()
}

// AddRoster records a replica's view of the members.
func (h *History) AddRoster(roster Roster) {
	h.mu.Lock()
	h.Rosters = append(h.Rosters, roster)
	h.mu.Unlock()
}

// AddRemoval records a removed life.
func (h *History) AddRemoval(removal Removal) {
	h.mu.Lock()
	h.Removals = append(h.Removals, removal)
	h.mu.Unlock()
}

// AddEnd records the end of a process.
func (h *History) AddEnd(end End) {
	h.mu.Lock()
	h.Ends = append(h.Ends, end)
	h.mu.Unlock()
}

// AddFinding records a violation.
func (h *History) AddFinding(name, format string, values ...interface{}) {
	h.mu.Lock()
	h.Findings = append(h.Findings, Finding{Name: name, Detail: fmt.Sprintf(format, values...), At: h.Now()})
	h.mu.Unlock()
}

// AddItems records a final listing.
func (h *History) AddItems(items []Item) {
	h.mu.Lock()
	h.Items = append(h.Items, items...)
	h.mu.Unlock()
}

// Count is the number of operations with a definite outcome so far.
func (h *History) Count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.Ops)
}

func writeLines(path string, count int, line func(int) interface{}) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(file, 1<<20)
	encoder := json.NewEncoder(buffered)
	for i := 0; i < count; i++ {
		if err := encoder.Encode(line(i)); err != nil {
			file.Close()
			return err
		}
	}
	if err := buffered.Flush(); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// Save writes everything below folder.
func (h *History) Save(folder string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	run, err := json.MarshalIndent(h.Run, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "run.json"), append(run, '\n'), 0o644); err != nil {
		return err
	}
	for _, part := range []struct {
		name  string
		count int
		line  func(int) interface{}
	}{
		{"operations", len(h.Ops), func(i int) interface{} { return &h.Ops[i] }},
		{"streams", len(h.Seen), func(i int) interface{} { return &h.Seen[i] }},
		{"states", len(h.States), func(i int) interface{} { return &h.States[i] }},
		{"faults", len(h.Faults), func(i int) interface{} { return &h.Faults[i] }},
		{"ends", len(h.Ends), func(i int) interface{} { return &h.Ends[i] }},
		{"findings", len(h.Findings), func(i int) interface{} { return &h.Findings[i] }},
		{"listing", len(h.Items), func(i int) interface{} { return &h.Items[i] }},
		{"aways", len(h.Aways), func(i int) interface{} { return &h.Aways[i] }},
		{"sights", len(h.Sights), func(i int) interface{} { return &h.Sights[i] }},
		{"rosters", len(h.Rosters), func(i int) interface{} { return &h.Rosters[i] }},
		{"removals", len(h.Removals), func(i int) interface{} { return &h.Removals[i] }},
	} {
		if err := writeLines(filepath.Join(folder, part.name+".jsonl"), part.count, part.line); err != nil {
			return err
		}
	}
	return nil
}

func readLines(path string, line func(*json.Decoder) error) error {
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil // a run of an older version
	}
	if err != nil {
		return err
	}
	defer file.Close()
	decoder := json.NewDecoder(bufio.NewReaderSize(file, 1<<20))
	for decoder.More() {
		if err := line(decoder); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// Load reads what Save wrote.
func Load(folder string) (*History, error) {
	h := New()
	run, err := os.ReadFile(filepath.Join(folder, "run.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(run, &h.Run); err != nil {
		return nil, err
	}
	for name, line := range map[string]func(*json.Decoder) error{
		"operations": func(d *json.Decoder) error { var v Op; err := d.Decode(&v); h.Ops = append(h.Ops, v); return err },
		"streams":    func(d *json.Decoder) error { var v Seen; err := d.Decode(&v); h.Seen = append(h.Seen, v); return err },
		"states": func(d *json.Decoder) error {
			var v State
			err := d.Decode(&v)
			h.States = append(h.States, v)
			return err
		},
		"faults": func(d *json.Decoder) error {
			var v Fault
			err := d.Decode(&v)
			h.Faults = append(h.Faults, v)
			return err
		},
		"ends": func(d *json.Decoder) error { var v End; err := d.Decode(&v); h.Ends = append(h.Ends, v); return err },
		"findings": func(d *json.Decoder) error {
			var v Finding
			err := d.Decode(&v)
			h.Findings = append(h.Findings, v)
			return err
		},
		"listing": func(d *json.Decoder) error { var v Item; err := d.Decode(&v); h.Items = append(h.Items, v); return err },
		"aways":   func(d *json.Decoder) error { var v Away; err := d.Decode(&v); h.Aways = append(h.Aways, v); return err },
		"sights": func(d *json.Decoder) error {
			var v Sight
			err := d.Decode(&v)
			h.Sights = append(h.Sights, v)
			return err
		},
		"rosters": func(d *json.Decoder) error {
			var v Roster
			err := d.Decode(&v)
			h.Rosters = append(h.Rosters, v)
			return err
		},
		"removals": func(d *json.Decoder) error {
			var v Removal
			err := d.Decode(&v)
			h.Removals = append(h.Removals, v)
			return err
		},
	} {
		if err := readLines(filepath.Join(folder, name+".jsonl"), line); err != nil {
			return nil, err
		}
	}
	return h, nil
}
