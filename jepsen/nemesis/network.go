package nemesis

import (
	"fmt"
	"sync"
	"time"

	"muster/jepsen/cluster"
)

// network combines the troubles of several faults on the same links.
type network struct {
	cluster cluster.Cluster
	mu      sync.Mutex // flapping changes layers from another goroutine
	next    int
	layers  map[int]map[[2]int]cluster.Trouble
}

func newNetwork(c cluster.Cluster) *network {
	return &network{cluster: c, layers: map[int]map[[2]int]cluster.Trouble{}}
}

func (w *network) add(layer map[[2]int]cluster.Trouble) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	w.layers[w.next] = layer
	w.apply()
	return w.next
}

func (w *network) remove(layer int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.layers, layer)
	w.apply()
}

func (w *network) apply() {
	sums := map[[2]int]cluster.Trouble{}
	for _, layer := range w.layers {
		for link, t := range layer {
			sum := sums[link]
			sum.Cut = sum.Cut || t.Cut
			sum.Loss += t.Loss
			sum.Delay += t.Delay
			sum.Jitter += t.Jitter
			if t.Rate > 0 && (sum.Rate == 0 || t.Rate < sum.Rate) {
				sum.Rate = t.Rate
			}
			sums[link] = sum
		}
	}
	w.cluster.Troubles(sums)
}

func networkKinds() []kind {
	kinds := []kind{}
	for name, cut := range map[string]func(*Nemesis) (map[[2]int]bool, error){
		"leader": cutLeader, "halves": cutHalves, "ring": cutRing, "bridge": cutBridge, "oneway": cutOneWay,
	} {
		name, cut := name, cut
		kinds = append(kinds, kind{name: "partition-" + name, family: "partition",
			begin: func(n *Nemesis) (*active, error) { return n.partition(cut, false) }})
	}
	// A map has no order, and a seed must give the same run.
	for i := range kinds {
		for j := i + 1; j < len(kinds); j++ {
			if kinds[j].name < kinds[i].name {
				kinds[i], kinds[j] = kinds[j], kinds[i]
			}
		}
	}
	return append(kinds,
		kind{name: "partition-flapping", family: "partition", begin: func(n *Nemesis) (*active, error) {
			return n.partition(cutHalves, true)
		}},
		kind{name: "loss", family: "loss", begin: (*Nemesis).loss},
		kind{name: "delay", family: "delay", begin: (*Nemesis).delay},
		kind{name: "rate", family: "rate", begin: (*Nemesis).rate})
}

// cutBetween cuts both ways between two groups.
func cutBetween(a, b []int) map[[2]int]bool {
	cuts := map[[2]int]bool{}
	for _, x := range a {
		for _, y := range b {
			cuts[[2]int{x, y}], cuts[[2]int{y, x}] = true, true
		}
	}
	return cuts
}

func (n *Nemesis) shuffled() []int {
	all := n.cluster.Members()
	n.r.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	return all
}

func cutLeader(n *Nemesis) (map[[2]int]bool, error) {
	leader := cluster.AwaitLeader(n.cluster, 2*time.Second)
	if leader == 0 {
		return nil, errNoTarget
	}
	others := []int{}
	for _, m := range n.cluster.Members() {
		if m != leader {
			others = append(others, m)
		}
	}
	return cutBetween([]int{leader}, others), nil
}

func cutHalves(n *Nemesis) (map[[2]int]bool, error) {
	all := n.shuffled()
	return cutBetween(all[:len(all)/2], all[len(all)/2:]), nil
}

// cutRing connects each only to its neighbours in a ring; with three, one link is cut.
func cutRing(n *Nemesis) (map[[2]int]bool, error) {
	all, cuts := n.shuffled(), map[[2]int]bool{}
	if len(all) == 3 {
		return cutBetween(all[:1], all[1:2]), nil
	}
	for i, x := range all {
		for j, y := range all {
			if away := (j - i + len(all)) % len(all); away > 1 && away < len(all)-1 {
				cuts[[2]int{x, y}] = true
			}
		}
	}
	return cuts, nil
}

// cutBridge leaves two halves connected only through one replica.
func cutBridge(n *Nemesis) (map[[2]int]bool, error) {
	all := n.shuffled()
	rest := all[1:]
	return cutBetween(rest[:len(rest)/2], rest[len(rest)/2:]), nil
}

func cutOneWay(n *Nemesis) (map[[2]int]bool, error) {
	all, cuts := n.shuffled(), map[[2]int]bool{}
	for _, other := range all[1:] {
		if n.r.Intn(2) == 0 || len(cuts) == 0 {
			cuts[[2]int{all[0], other}] = true
		}
	}
	if n.r.Intn(2) == 0 {
		turned := map[[2]int]bool{}
		for cut := range cuts {
			turned[[2]int{cut[1], cut[0]}] = true
		}
		return turned, nil
	}
	return cuts, nil
}

func (n *Nemesis) partition(choose func(*Nemesis) (map[[2]int]bool, error), flapping bool) (*active, error) {
	cuts, err := choose(n)
	if err != nil {
		return nil, err
	}
	layer := map[[2]int]cluster.Trouble{}
	for cut := range cuts {
		layer[cut] = cluster.Trouble{Cut: true}
	}
	before := n.cluster.Touched().Cut
	doing := n.onNetwork(layer, n.between(800*time.Millisecond, 9*time.Second), "frames dropped at a cut",
		func() int64 { return n.cluster.Touched().Cut - before })
	if flapping {
		n.flap(layer, doing)
	}
	return doing, nil
}

// flap toggles the cut at random while it lasts.
func (n *Nemesis) flap(layer map[[2]int]cluster.Trouble, doing *active) {
	stop, stopped, seed := make(chan struct{}), make(chan struct{}), n.r.Int63()
	id := n.net.next
	go func() {
		defer close(stopped)
		cut := true
		for turn := int64(0); ; turn++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(50+(seed>>uint(turn%16))%700) * time.Millisecond):
			}
			if cut {
				n.net.remove(id)
			} else {
				id = n.net.add(layer)
			}
			cut = !cut
		}
	}()
	doing.detail += " flapping"
	doing.heal = func() error {
		close(stop)
		<-stopped
		n.net.remove(id)
		return nil
	}
}

func (n *Nemesis) onNetwork(layer map[[2]int]cluster.Trouble, hold time.Duration, proof string, felt func() int64) *active {
	id := n.net.add(layer)
	touched := map[int]bool{}
	detail := ""
	for link, t := range layer {
		touched[link[0]], touched[link[1]] = true, true
		if detail == "" {
			detail = fmt.Sprintf("%d links, such as %d>%d: %+v", len(layer), link[0], link[1], t)
		}
	}
	targets := []int{}
	for m := 1; m <= n.cluster.Size(); m++ {
		if touched[m] {
			targets = append(targets, m)
		}
	}
	return &active{targets: targets, detail: detail, hold: hold, proof: proof, felt: felt, patient: true,
		heal: func() error { n.net.remove(id); return nil }}
}

// everywhere applies the same trouble to all links.
func (n *Nemesis) everywhere(trouble cluster.Trouble) map[[2]int]cluster.Trouble {
	layer := map[[2]int]cluster.Trouble{}
	for from := 1; from <= n.cluster.Size(); from++ {
		for to := 1; to <= n.cluster.Size(); to++ {
			if from != to {
				layer[[2]int{from, to}] = trouble
			}
		}
	}
	return layer
}

func (n *Nemesis) loss() (*active, error) {
	before := n.cluster.Touched().Lost
	share := 0.01 + n.r.Float64()*0.25
	return n.onNetwork(n.everywhere(cluster.Trouble{Loss: share}), n.between(2*time.Second, 8*time.Second), "frames lost",
		func() int64 { return n.cluster.Touched().Lost - before }), nil
}

func (n *Nemesis) delay() (*active, error) {
	before := n.cluster.Touched().Delayed
	trouble := cluster.Trouble{Delay: n.between(5*time.Millisecond, 120*time.Millisecond), Jitter: n.between(0, 60*time.Millisecond)}
	return n.onNetwork(n.everywhere(trouble), n.between(2*time.Second, 8*time.Second), "frames delayed",
		func() int64 { return n.cluster.Touched().Delayed - before }), nil
}

func (n *Nemesis) rate() (*active, error) {
	before := n.cluster.Touched().Throttled
	trouble := cluster.Trouble{Rate: 20_000 + n.r.Intn(200_000)}
	return n.onNetwork(n.everywhere(trouble), n.between(2*time.Second, 8*time.Second), "frames held back",
		func() int64 { return n.cluster.Touched().Throttled - before }), nil
}
