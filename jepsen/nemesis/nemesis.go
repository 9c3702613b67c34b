// Package nemesis breaks the cluster: one to three faults at a time, drawn from a seed, each with a proof
// that it had an effect.
package nemesis

import (
	"context"
	"fmt"
	"math/rand"
	"sort"
	"strings"
	"time"

	"muster/jepsen/cluster"
	"muster/jepsen/history"
)

// kind of fault. begin starts it; the result is active until heal is called.
type kind struct {
	name, family string
	alone        bool // not together with others
	first        bool // others may join it, but it must start on a healthy cluster
	begin        func(n *Nemesis) (*active, error)
}

// active is a fault in progress.
type active struct {
	targets []int
	detail  string
	hold    time.Duration
	proof   string       // what `felt` counts
	felt    func() int64 // called just before heal
	heal    func() error
	owned   []int         // replicas that no other fault may touch meanwhile
	patient bool          // waits until it has had an effect
	last    bool          // ends after all others of its round
	say     func() string // detail known only at the end
}

// Nemesis draws and runs faults.
type Nemesis struct {
	cluster  cluster.Cluster
	history  *history.History
	r        *rand.Rand
	kinds    []kind
	deck     []kind
	busy     map[int]bool
	net      *network
	long     bool // there is time for long pauses
	base     int  // members at the beginning
	changing bool // a membership change is in progress
}

func allKinds() []kind {
	kinds := []kind{}
	for _, some := range [][]kind{processKinds(), networkKinds(), diskKinds(), identityKinds(), memberKinds(), outsideKinds()} {
		kinds = append(kinds, some...)
	}
	return kinds
}

// Families of faults.
func Families() []string {
	found := map[string]bool{}
	for _, k := range allKinds() {
		found[k.family] = true
	}
	names := []string{}
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// New accepts families ("partition") and kinds ("partition-ring"). Impossible ones are an
// error: a run must not pass without the requested faults.
func New(c cluster.Cluster, h *history.History, seed int64, names []string, long bool) (*Nemesis, error) {
	n := &Nemesis{cluster: c, history: h, r: rand.New(rand.NewSource(seed)), busy: map[int]bool{}, net: newNetwork(c), long: long,
		base: len(c.Members())}
	for _, name := range names {
		some := 0
		for _, k := range allKinds() {
			if k.name != name && k.family != name {
				continue
			}
			if able, why := c.Can(k.family); !able {
				return nil, fmt.Errorf("%s is not possible here: %s", name, why)
			}
			n.kinds = append(n.kinds, k)
			some++
		}
		if some == 0 {
			return nil, fmt.Errorf("no fault is called '%s'; there are: %s", name, strings.Join(Families(), " "))
		}
	}
	return n, nil
}

// draw takes the next kind from a shuffled deck, so that a short run has as many kinds as possible.
func (n *Nemesis) draw() kind {
	if len(n.deck) == 0 {
		n.deck = append([]kind(nil), n.kinds...)
		n.r.Shuffle(len(n.deck), func(a, b int) { n.deck[a], n.deck[b] = n.deck[b], n.deck[a] })
	}
	k := n.deck[0]
	n.deck = n.deck[1:]
	return k
}

// between is a random time, short ones more often.
func (n *Nemesis) between(least, most time.Duration) time.Duration {
	share := n.r.Float64()
	return least + time.Duration(share*share*float64(most-least))
}

const (
	serveWithin   = 30 * time.Second
	betweenRounds = 2 * time.Second
	// A fault may find no target, as others hold the replicas; then another is drawn.
	triesMax = 4
)

// Run runs rounds until the context ends; it heals and waits for the cluster after each one.
func (n *Nemesis) Run(until context.Context) {
	for until.Err() == nil && len(n.kinds) > 0 {
		n.round(until)
		if slow := cluster.AwaitReady(n.cluster, serveWithin); slow != 0 {
			n.history.AddFinding("serves_after_healing", "replica %d is not ready, with a vote, %s after all was healed", slow, serveWithin)
			return
		}
		select {
		case <-until.Done():
		case <-time.After(n.between(betweenRounds/4, betweenRounds)):
		}
	}
}

type ongoing struct {
	kind  kind
	fault history.Fault
	*active
	until     time.Time
	postponed bool
}

func (n *Nemesis) round(until context.Context) {
	faults := []*ongoing{}
	count := 1 + n.r.Intn(3)
	for try := 0; len(faults) < count && try < triesMax; try++ {
		k := n.draw()
		if k.alone && len(faults) > 0 {
			break
		}
		if k.first && len(faults) > 0 {
			n.deck = append(n.deck, k)
			continue
		}
		if one := n.begin(k); one != nil {
			faults = append(faults, one)
		}
		if k.alone || n.r.Intn(3) == 0 {
			break
		}
		time.Sleep(n.between(0, 1500*time.Millisecond))
	}
	sort.SliceStable(faults, func(a, b int) bool { return faults[a].until.Before(faults[b].until) })
	n.endAll(until, faults, false)
	n.endAll(until, faults, true)
}

// endAll ends the faults of a round that end last, or the others.
func (n *Nemesis) endAll(until context.Context, all []*ongoing, last bool) {
	faults := []*ongoing{}
	for _, one := range all {
		if one.last == last {
			faults = append(faults, one)
		}
	}
	for at := 0; at < len(faults); at++ {
		one := faults[at]
		if wait := time.Until(one.until); wait > 0 {
			select {
			case <-until.Done():
				// The end of the run shortens a fault, but not to nothing.
				time.Sleep(minDuration(wait, 500*time.Millisecond))
			case <-time.After(wait):
			}
		}
		// While all are dead, a cut link has no effect: other faults end first.
		if one.patient && one.felt() == 0 && !one.postponed && at < len(faults)-1 {
			one.postponed = true
			faults = append(faults, one)
			continue
		}
		for wait := 0; one.patient && one.felt() == 0 && wait < 50; wait++ {
			time.Sleep(100 * time.Millisecond)
		}
		n.end(one)
	}
}

func minDuration(a, b time.Duration) time.Duration {
	if a < b {
		return a
	}
	return b
}

func (n *Nemesis) begin(k kind) *ongoing {
	fault := history.Fault{Kind: k.name, From: n.history.Now()}
	doing, err := k.begin(n)
	if err == errNoTarget {
		return nil
	}
	if err != nil {
		if doing != nil {
			_ = doing.heal()
		}
		fault.To, fault.Error = n.history.Now(), err.Error()
		n.history.AddFault(fault)
		return nil
	}
	for _, target := range doing.owned {
		n.busy[target] = true
	}
	fault.Targets, fault.Detail, fault.Proof = doing.targets, doing.detail, doing.proof
	return &ongoing{kind: k, fault: fault, active: doing, until: time.Now().Add(doing.hold)}
}

func (n *Nemesis) end(one *ongoing) {
	one.fault.Bit = one.felt()
	if one.say != nil {
		one.fault.Detail = one.say()
	}
	if err := one.heal(); err != nil {
		one.fault.Error = err.Error()
	}
	for _, target := range one.owned {
		delete(n.busy, target)
	}
	one.fault.To = n.history.Now()
	n.history.AddFault(one.fault)
}

var errNoTarget = fmt.Errorf("every replica is in other hands")

// free are the replicas not held by another fault, in random order.
func (n *Nemesis) free() []int {
	found := []int{}
	for _, m := range n.cluster.Members() {
		if !n.busy[m] && n.cluster.Alive(m) {
			found = append(found, m)
		}
	}
	n.r.Shuffle(len(found), func(a, b int) { found[a], found[b] = found[b], found[a] })
	return found
}

// minority is how many may lose their directories while everything acknowledged is safe.
func (n *Nemesis) minority() int { return (len(cluster.Voters(n.cluster)) - 1) / 2 }

// some are one of them, or a minority.
func (n *Nemesis) some(free []int) []int {
	most := n.minority()
	if most > len(free) {
		most = len(free)
	}
	if most == 0 {
		return nil
	}
	return free[:1+n.r.Intn(most)]
}

// pick returns replicas: the leader, any one, a majority, all.
func (n *Nemesis) pick(who string) ([]int, error) {
	free := n.free()
	switch who {
	case "leader":
		leader := cluster.AwaitLeader(n.cluster, 2*time.Second)
		if leader == 0 || n.busy[leader] {
			return nil, errNoTarget
		}
		return []int{leader}, nil
	case "any":
		if len(free) > 0 {
			return free[:1], nil
		}
	case "majority":
		voters := cluster.Voters(n.cluster)
		free = without(free, without(free, voters))
		if most := len(voters)/2 + 1; len(free) >= most {
			return free[:most], nil
		}
	case "all":
		if len(free) == len(n.cluster.Members()) {
			return free, nil
		}
	}
	return nil, errNoTarget
}

func each(targets []int, what func(int) error) error {
	for _, target := range targets {
		if err := what(target); err != nil {
			return err
		}
	}
	return nil
}
