package nemesis

import (
	"math/rand"
	"testing"
	"time"

	"muster/jepsen/cluster"
)

// links is a cluster with only a size and links.
type links struct {
	cluster.Cluster
	size int
	now  map[[2]int]cluster.Trouble
}

func (l *links) Size() int      { return l.size }
func (l *links) ID(m int) int   { return m }
func (l *links) URL(int) string { return "http://127.0.0.1:1" }
func (l *links) Members() []int {
	all := []int{}
	for m := 1; m <= l.size; m++ {
		all = append(all, m)
	}
	return all
}
func (l *links) Alive(int) bool                          { return true }
func (l *links) Troubles(all map[[2]int]cluster.Trouble) { l.now = all }
func nemesisOf(size int) (*Nemesis, *links) {
	l := &links{size: size}
	return &Nemesis{cluster: l, r: rand.New(rand.NewSource(1)), net: newNetwork(l), busy: map[int]bool{}}, l
}

func TestTroublesOnOneLinkAddUpAndHealOneByOne(t *testing.T) {
	_, l := nemesisOf(3)
	w := newNetwork(l)
	link := [2]int{1, 2}
	cut := w.add(map[[2]int]cluster.Trouble{link: {Cut: true}})
	slow := w.add(map[[2]int]cluster.Trouble{link: {Delay: time.Second, Loss: 0.1, Rate: 500}})
	w.add(map[[2]int]cluster.Trouble{link: {Rate: 100}})
	if got := l.now[link]; !got.Cut || got.Delay != time.Second || got.Rate != 100 {
		t.Errorf("%+v", got)
	}
	w.remove(cut)
	if got := l.now[link]; got.Cut || got.Loss != 0.1 {
		t.Errorf("%+v", got)
	}
	w.remove(slow)
	if got := l.now[link]; got != (cluster.Trouble{Rate: 100}) {
		t.Errorf("%+v", got)
	}
}

func TestAPartitionLeavesWhatItsNameSays(t *testing.T) {
	for size, most := range map[int]map[string]int{3: {"halves": 4, "ring": 2, "bridge": 2}, 5: {"halves": 12, "ring": 10, "bridge": 8}} {
		n, _ := nemesisOf(size)
		for name, choose := range map[string]func(*Nemesis) (map[[2]int]bool, error){
			"halves": cutHalves, "ring": cutRing, "bridge": cutBridge} {
			cuts, err := choose(n)
			if err != nil || len(cuts) != most[name] {
				t.Errorf("%s of %d cuts %d directions, not %d: %v", name, size, len(cuts), most[name], err)
			}
			for cut := range cuts {
				if !cuts[[2]int{cut[1], cut[0]}] {
					t.Errorf("%s cuts one way only", name)
				}
			}
		}
	}
}

func TestOneWayCutsNoLinkBothWays(t *testing.T) {
	n, _ := nemesisOf(5)
	for try := 0; try < 50; try++ {
		cuts, _ := cutOneWay(n)
		for cut := range cuts {
			if cuts[[2]int{cut[1], cut[0]}] {
				t.Fatalf("%v", cuts)
			}
		}
		if len(cuts) == 0 {
			t.Fatal("nothing is cut")
		}
	}
}

func TestTheSameSeedDrawsTheSameFaults(t *testing.T) {
	draws := func() []string {
		n := &Nemesis{r: rand.New(rand.NewSource(7)), kinds: allKinds()}
		names := []string{}
		for i := 0; i < 40; i++ {
			names = append(names, n.draw().name)
		}
		return names
	}
	first, second := draws(), draws()
	for i := range first {
		if first[i] != second[i] {
			t.Fatalf("%s, then %s", first[i], second[i])
		}
	}
}
