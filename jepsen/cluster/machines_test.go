package cluster

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// machinesOf returns three members and as many spares, without network or disks.
func machinesOf(t *testing.T) *Processes {
	p := &Processes{options: Options{Folder: t.TempDir(), Musterd: "musterd", Replicas: 3, Spares: Spares}, subnet: 9, all: map[int]*replica{}}
	for n := 1; n <= p.Size(); n++ {
		r := &replica{n: n, member: n <= 3, folder: t.TempDir()}
		if r.member {
			r.id = n
		}
		p.all[n] = r
	}
	p.first = p.list()
	for _, r := range p.all {
		r.list = p.first
	}
	return p
}

// options of a machine's process, as one text.
func (p *Processes) text(n int) string { return strings.Join(p.arguments(n), " ") + " " }

func want(t *testing.T, text string, all ...string) {
	t.Helper()
	for _, one := range all {
		if not := strings.TrimPrefix(one, "!"); strings.Contains(text, not) == (not != one) {
			t.Errorf("'%s' in %s", one, text)
		}
	}
}

func TestEachMoveChangesTheHostOrThePortAndComesBackToNone(t *testing.T) {
	p, seen := machinesOf(t), map[string]bool{}
	for move := 0; move < 12; move++ {
		before := strings.Split(p.Peer(1), ":")
		if seen[p.Peer(1)] {
			t.Fatalf("%s again", p.Peer(1))
		}
		seen[p.Peer(1)] = true
		after := strings.Split(p.Move(1), ":")
		if (before[0] == after[0]) == (before[1] == after[1]) {
			t.Errorf("from %v to %v", before, after)
		}
	}
}

func TestAMemberIsStartedAsWhatItIs(t *testing.T) {
	p := machinesOf(t)
	const first = "--cluster 1=10.9.2.1:9100,2=10.9.2.2:9100,3=10.9.2.3:9100 "
	want(t, p.text(1), first, "--id 1 ", "--peer 10.9.2.1:9100 ", "--voters 5 ", "!--join", "!--advertise-peer")
	// One joins: without a list of the others, and without --id until it is chosen.
	p.all[5].member, p.all[5].joins = true, true
	want(t, p.text(5), "--join http://10.9.2.1:9000,http://10.9.2.2:9000,http://10.9.2.3:9000 ", "--advertise-peer 10.9.2.5:9100 ", "!--id",
		"!--cluster ")
	p.Learn(5, 4)
	want(t, p.text(5), "--id 4 ")
	want(t, p.text(1), first, "!--join")
	if fmt.Sprint(p.Members()) != "[1 2 3 5]" || p.ID(5) != 4 || p.ID(6) != 0 {
		t.Error(p.Members())
	}
	// One that moved keeps its original list.
	p.Move(2)
	want(t, p.text(2), first, "--peer 10.9.2.102:9100 ", "--advertise-peer 10.9.2.102:9100 ")
	// With another cluster's directory it has its arguments from when that one was formed.
	p.all[2].foreign = true
	p.MoveAll()
	const all = "--cluster 1=10.9.2.101:9100,2=10.9.2.102:9101,3=10.9.2.103:9100,4=10.9.2.105:9100 "
	want(t, p.text(1), all, "!--join")
	want(t, p.text(5), all, "!--join", "--id 4 ")
	want(t, p.text(2), first, "!--join")
}

func TestAnEmptiedMemberFindsTheOthersByWhatIsStillTrue(t *testing.T) {
	p := machinesOf(t)
	if err := p.Wipe(1); err != nil || p.all[1].joins {
		t.Errorf("all are where its list says: %v", err)
	}
	p.Move(2)
	if err := p.Wipe(1); err != nil || !p.all[1].joins {
		t.Errorf("member 2 has moved: %v", err)
	}
	if err := p.Leave(3); err != nil || p.ID(3) != 0 || len(p.Members()) != 2 {
		t.Errorf("%v, %v", p.Members(), err)
	}
}

// listing is a cluster with one replica, which lists the members.
type listing struct {
	Cluster
	url string
}

func (l *listing) URL(int) string    { return l.url }
func (l *listing) Members() []int    { return []int{1, 4} }
func (l *listing) ID(n int) int      { return n + 1 }
func (l *listing) Peer(n int) string { return fmt.Sprintf("host-%d:9100", n) }

func TestTheMembersAreThoseThatThereShouldBe(t *testing.T) {
	const two, five = `{"id":2,"peer":"host-1:9100","role":"voter"}`, `{"id":5,"peer":"host-4:9100","role":"voter"}`
	for members, right := range map[string]bool{two + "," + five: true, five + "," + two: true, two: false,
		two + "," + five + `,{"id":6,"peer":"x:1","role":"spare"}`:            false,
		two + "," + strings.Replace(five, "host-4", "host-3", 1):              false,
		two + "," + strings.Replace(five, "voter", "standby", 1):              false,
		two + "," + five + "," + strings.Replace(five, "voter", "standby", 1): false} {
		members := members
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"members":[%s]}`, members)
		}))
		l := &listing{url: server.URL}
		if got := AwaitRoster(l, 0); (got == "") != right {
			t.Errorf("%s: %s", members, got)
		}
		server.Close()
	}
}
