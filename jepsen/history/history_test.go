package history

import (
	"reflect"
	"testing"
)

func TestWhatIsSavedIsLoaded(t *testing.T) {
	h := New()
	h.Run = Run{Seed: 7, Replicas: 3, Nemeses: []string{"kill"}}
	h.Add(Op{Client: "a", Kind: Register, Key: "k", Outcome: Unknown, Status: 504, Value: 3})
	h.AddSeen(Seen{Reader: "r", What: "event", Index: 5, Position: 2, ID: "k"})
	h.AddState(State{Replica: 1, Index: 5, Hash: "x"})
	h.AddFault(Fault{Kind: "kill-any", Targets: []int{1}, Bit: 1})
	h.AddEnd(End{Replica: 1, Status: "exit status 70"})
	h.AddFinding("x", "%d", 1)
	h.AddItems([]Item{{Replica: 1, ID: "k"}})
	h.AddAway(1, Foreign)
	h.EndAway(1)
	h.AddSight(Sight{Replica: 1, Cluster: "c", Theirs: 2})
	h.AddRoster(Roster{Replica: 1, Term: 2, Leader: 3, Voters: []int{1, 3}})
	h.AddRemoval(Removal{Replica: 1, Member: 3, Life: "a", Term: 2})
	folder := t.TempDir()
	if err := h.Save(folder); err != nil {
		t.Fatal(err)
	}
	got, err := Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]interface{}{{h.Run, got.Run}, {h.Ops, got.Ops}, {h.Seen, got.Seen}, {h.States, got.States},
		{h.Faults, got.Faults}, {h.Ends, got.Ends}, {h.Findings, got.Findings}, {h.Items, got.Items},
		{h.Aways, got.Aways}, {h.Sights, got.Sights},
		{h.Rosters, got.Rosters}, {h.Removals, got.Removals}} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%+v became %+v", pair[0], pair[1])
		}
	}
}

func TestTimesAwayAreCountedInTurns(t *testing.T) {
	h := New()
	h.AddAway(2, "another reason")
	for want := 1; want <= 4; want += 2 {
		h.AddAway(1, Foreign)
		if got := h.ForeignTurns(1); got != want {
			t.Errorf("%d turns, not %d", got, want)
		}
		h.EndAway(1)
	}
	if got := h.ForeignTurns(1); got != 4 || h.ForeignTurns(2) != 0 {
		t.Errorf("%d turns, not 4", got)
	}
	a := Away{Replica: 1, From: 10, To: 20}
	if !a.Covers(1, 10, 20) || a.Covers(1, 9, 20) || a.Covers(2, 12, 13) || !a.Touches(1, 20, 30) || a.Touches(1, 21, 30) {
		t.Error("a time is in it, or is not")
	}
	if forever := (Away{Replica: 1, From: 10}); !forever.Covers(1, 10, 1<<60) {
		t.Error("what has no end lasts")
	}
}

func TestADigestTellsListingsApart(t *testing.T) {
	a := ItemDigest("a", 1, 2, "passing", 3)
	for _, other := range []uint64{ItemDigest("b", 1, 2, "passing", 3), ItemDigest("a", 2, 2, "passing", 3),
		ItemDigest("a", 1, 3, "passing", 3), ItemDigest("a", 1, 2, "critical", 3), ItemDigest("a", 1, 2, "passing", 4)} {
		if other == a {
			t.Error("two instances have one digest")
		}
	}
}
