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
	folder := t.TempDir()
	if err := h.Save(folder); err != nil {
		t.Fatal(err)
	}
	got, err := Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]interface{}{{h.Run, got.Run}, {h.Ops, got.Ops}, {h.Seen, got.Seen}, {h.States, got.States},
		{h.Faults, got.Faults}, {h.Ends, got.Ends}, {h.Findings, got.Findings}, {h.Items, got.Items}} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%+v became %+v", pair[0], pair[1])
		}
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
