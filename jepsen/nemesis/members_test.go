package nemesis

import (
	"context"
	"fmt"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"muster/jepsen/cluster"
	"muster/jepsen/history"
)

// answering is a cluster whose replicas give a list of answers, one after the other.
type answering struct {
	links
	url string
}

func (a *answering) URL(int) string { return a.url }

func answers(t *testing.T, size int, all ...int) (*Nemesis, *answering) {
	a := &answering{links: links{size: size}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(all) > 0 {
			w.WriteHeader(all[0])
			all = all[1:]
		}
	}))
	t.Cleanup(server.Close)
	a.url = server.URL
	return &Nemesis{cluster: a, r: rand.New(rand.NewSource(1)), busy: map[int]bool{}, history: history.New()}, a
}

func changeOf(n *Nemesis, within time.Duration) *change {
	return &change{n: n, r: rand.New(rand.NewSource(1)), done: make(chan struct{}), within: within, answers: map[string]int{}}
}

func TestAChangeIsAskedForUntilItIsDone(t *testing.T) {
	n, _ := answers(t, 3, 409, 503, 504, 409, 200)
	c := changeOf(n, time.Minute)
	at, err := c.ask(2, "DELETE", "members/2")
	if err != nil || at == 2 || at == 0 || len(n.history.Findings) > 0 {
		t.Errorf("replica %d, %v, %+v", at, err, n.history.Findings)
	}
	if got := c.detail(); got != "; 2 times 409; 1 times 503; 1 times 504" {
		t.Error(got)
	}
}

func TestAnAnswerThatIsNoHonestRefusalIsAViolation(t *testing.T) {
	n, _ := answers(t, 3, 500, 200)
	if _, err := changeOf(n, time.Minute).ask(2, "DELETE", "members/2"); err != nil {
		t.Error(err)
	}
	if len(n.history.Findings) != 1 || n.history.Findings[0].Name != "member_changes_are_answered" {
		t.Errorf("%+v", n.history.Findings)
	}
}

func TestAChangeThatIsNotDoneInTimeIsAViolation(t *testing.T) {
	n, _ := answers(t, 3)
	doing := n.beside([]int{1}, nil, func(c *change) error {
		c.within = time.Millisecond
		return c.until("pigs fly", func() bool { return false })
	})
	one := &ongoing{active: doing}
	n.end(one)
	if len(n.history.Findings) != 1 || !strings.Contains(n.history.Findings[0].Detail, "pigs fly") || n.history.Faults[0].Bit != 0 {
		t.Errorf("%+v %+v", n.history.Findings, n.history.Faults)
	}
	if n.changing {
		t.Error("it is over")
	}
}

func TestAChangeMayGoOnWhileThereAreOtherFaultsAndEndsAfterThem(t *testing.T) {
	n, _ := answers(t, 3)
	healed := make(chan struct{})
	doing := n.beside([]int{1}, []int{1}, func(c *change) error {
		c.within = 5 * time.Second
		return c.until("the other one is healed", func() bool {
			select {
			case <-healed:
				return true
			default:
				return false
			}
		})
	})
	other := &active{patient: true, felt: func() int64 { return 0 }, heal: func() error { close(healed); return nil }}
	faults := []*ongoing{{fault: history.Fault{Kind: "members-move"}, active: doing}, {fault: history.Fault{Kind: "kill-any"}, active: other}}
	for _, last := range []bool{false, true} {
		n.endAll(context.Background(), faults, last)
	}
	order := ""
	for _, f := range n.history.Faults {
		order += fmt.Sprintf("%s %d;", f.Kind, f.Bit)
	}
	if order != "kill-any 0;members-move 1;" {
		t.Error(order)
	}
}

func TestMembersAreChangedOneAtATimeAndWithinBounds(t *testing.T) {
	n, a := answers(t, 3)
	n.base, n.changing = 3, true
	for _, k := range memberKinds() {
		if _, err := k.begin(n); err != errNoTarget {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	n.changing = false
	for _, k := range memberKinds() {
		// There is no spare machine, and no surplus member.
		if k.name == "members-grow" || k.name == "members-shrink" || k.name == "members-replace" {
			if _, err := k.begin(n); err != errNoTarget {
				t.Errorf("%s: %v", k.name, err)
			}
		}
	}
	a.size = 5
	if len(n.spares()) != 0 {
		t.Error("members are no spares")
	}
}

func TestAMinorityIsOneOfTheVotersOfTheMoment(t *testing.T) {
	a := &answering{links: links{size: 5}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"id":1,"leader":1,"term":4,"members":[{"id":1,"role":"voter"},{"id":2,"role":"standby"},
			{"id":3,"role":"voter"},{"id":3,"role":"standby"},{"id":4,"role":"standby"},{"id":5,"role":"voter"}]}`)
	}))
	defer server.Close()
	a.url = server.URL
	n := &Nemesis{cluster: a, r: rand.New(rand.NewSource(1)), busy: map[int]bool{}}
	if got := cluster.Voters(a); fmt.Sprint(got) != "[1 3 5]" || n.minority() != 1 {
		t.Errorf("%v, of which %d are a minority", got, n.minority())
	}
	for try := 0; try < 20; try++ {
		some, err := n.pick("majority")
		if err != nil || len(some) != 2 || len(without(some, []int{1, 3, 5})) != 0 {
			t.Fatalf("%v, %v", some, err)
		}
	}
	n.busy[1], n.busy[3] = true, true
	if _, err := n.pick("majority"); err != errNoTarget {
		t.Error("two of three voters are in other hands")
	}
	if n.some(nil) != nil {
		t.Error("of nobody, nobody")
	}
}
