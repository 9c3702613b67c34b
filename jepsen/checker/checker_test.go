package checker

import (
	"strings"
	"testing"

	"muster/jepsen/history"
)

const second = int64(1e9)

// sound is a small history without violations; each test adds one.
func sound() *history.History {
	h := history.New()
	h.Run = history.Run{Replicas: 2, WarmOps: 1000, EndNs: 60 * second}
	h.Ops = []history.Op{
		{Client: "a", Replica: 1, Kind: history.Register, Set: "reg", Key: "reg-0-0", Call: 1, Return: 2, Outcome: history.OK,
			Status: 201, Value: 1, Incarnation: 100, Index: 10},
		{Client: "b", Replica: 2, Kind: history.Get, Mode: "linearizable", Set: "reg", Key: "reg-0-0", Call: 3, Return: 4,
			Outcome: history.OK, Status: 200, Value: 1, Incarnation: 100, Index: 10},
		{Client: "c", Replica: 1, Kind: history.Register, Set: "ledger", Key: "led-0-0", Call: 5, Return: 6, Outcome: history.OK,
			Status: 201, Value: 7, Incarnation: 200, Index: 11},
		{Client: "c", Replica: 2, Kind: history.Get, Mode: "min_index", Set: "ledger", Key: "led-0-0", Call: 7, Return: 8,
			Outcome: history.OK, Status: 200, Value: 7, Incarnation: 200, Index: 11, MinIndex: 11, Applied: 11},
		{Client: "c", Replica: 1, Kind: history.Register, Set: "ledger", Key: "led-0-1", Call: 9, Return: 10,
			Outcome: history.Refused, Status: 503, Value: 8},
		{Client: "d", Replica: 1, Kind: history.Register, Set: "flap", Key: "flap-0", Call: second, Return: second + 5,
			Outcome: history.OK, Status: 201, Value: 1, Incarnation: 300, Index: 12, TTLMs: 2000},
		{Client: "l", Replica: 2, Kind: history.List, Mode: "linearizable", Key: "flap", Call: 4 * second, Return: 4*second + 1,
			Outcome: history.OK, Status: 200, Index: 13, Applied: 13, Count: 1,
			Digest: history.ItemDigest("flap-0", 1, 300, "critical", 13)},
		{Client: "l", Replica: 2, Kind: history.List, Mode: "min_index", MinIndex: 13, Key: "flap", Call: 5 * second,
			Return: 5*second + 1, Outcome: history.OK, Status: 200, Index: 13, Applied: 14, Count: 1,
			Digest: history.ItemDigest("flap-0", 1, 300, "critical", 13)},
		{Client: "p", Replica: 1, Kind: history.Poll, Key: "flap", Said: 12, Call: 5, Return: 3*second + 1, Outcome: history.OK,
			Status: 200, Index: 13, Count: 1, Digest: history.ItemDigest("flap-0", 1, 300, "critical", 13)},
	}
	for _, name := range []string{"all-0", "all-1"} {
		h.Seen = append(h.Seen, history.Seen{Reader: name, What: "start"},
			event(name, 10, "registered", "reg-0-0", 1, 100, "passing", 2),
			event(name, 11, "registered", "led-0-0", 7, 200, "passing", 6),
			event(name, 12, "registered", "flap-0", 1, 300, "passing", second+6),
			event(name, 13, "expired", "flap-0", 1, 300, "critical", 3*second+10))
	}
	h.States = []history.State{{Replica: 1, Index: 13, Hash: "x"}, {Replica: 2, Index: 13, Hash: "x"},
		{Replica: 1, Index: 14, Hash: "y", Final: true}, {Replica: 2, Index: 14, Hash: "y", Final: true}}
	for replica := 1; replica <= 2; replica++ {
		h.Items = append(h.Items, history.Item{Replica: replica, ID: "led-0-0", Value: 7, Incarnation: 200, Health: "passing"},
			history.Item{Replica: replica, ID: "live-0", Value: 1, Incarnation: 400, Health: "passing"})
	}
	// Replica 2 has another cluster's directory from 20 s to 30 s.
	h.Run.Cluster, h.Run.Other, h.Run.OtherWrites = "this", "other", 3
	h.Aways = []history.Away{{Replica: 2, Why: history.Foreign, From: 20 * second, To: 30 * second}}
	h.Ops = append(h.Ops, history.Op{Client: "l", Replica: 2, Kind: history.List, Mode: "stale", Key: "flap", Call: 21 * second,
		Return: 22 * second, Outcome: history.OK, Status: 200, Index: 13, Applied: 13, Count: 3, Digest: 4711},
		history.Op{Client: "a", Replica: 2, Kind: history.Register, Set: "ledger", Key: "led-1-0", Call: 23 * second,
			Return: 25 * second, Outcome: history.Refused, Status: 503, Value: 9})
	h.States = append(h.States, history.State{Replica: 2, Asked: 21 * second, At: 21*second + 1, Index: 13, Hash: "z"})
	h.Sights = []history.Sight{{Replica: 1, At: 21 * second, Cluster: "this", Ready: true, Ours: 3},
		{Replica: 2, At: 21 * second, Cluster: "other", Theirs: 1}, {Replica: 2, At: 22 * second, Cluster: "other", Theirs: 3},
		{Replica: 2, At: 23 * second, Cluster: "other", Theirs: 3}}
	// Member 1, life "a", led term 2 and was removed then; member 2 leads term 3. Everything is reported twice.
	for turn := int64(0); turn < 2; turn++ {
		h.States = append(h.States, history.State{Replica: 1, Role: "leader", Term: 2, Life: "a", Index: 15, Hash: "w", At: 40*second + turn},
			history.State{Replica: 2, Role: "leader", Term: 3, Life: "b", Index: 16, Hash: "v", Asked: 49 * second, At: 50*second + turn})
		h.Rosters = append(h.Rosters, history.Roster{Replica: 1, Member: 1, Term: 2, Leader: 1, At: 40*second + turn},
			history.Roster{Replica: 1, Member: 1, Term: 3, Leader: 1 + int(turn), At: 51*second + turn},
			history.Roster{Replica: 1, Member: 1, Term: 3, Leader: 4, At: 51*second + turn},
			history.Roster{Replica: 2, Member: 2, Term: 3, Leader: 2, At: 51*second + turn, Asked: 50 * second},
			history.Roster{Replica: 2, Member: 7, Term: 2, Leader: 7, Asked: 21 * second, At: 22*second + turn})
	}
	h.Removals = []history.Removal{{Replica: 1, Member: 1, Life: "a", Term: 3, At: 50 * second}}
	h.Run.Programs = []string{"run-0"}
	for replica := 1; replica <= 2; replica++ {
		h.Items = append(h.Items, history.Item{Replica: replica, ID: "run-0", Value: 1, Incarnation: 500, Health: "passing"})
	}
	h.Faults = []history.Fault{{Kind: "kill-any", Targets: []int{1}, From: second, To: 2 * second, Bit: 1}}
	h.Ends = []history.End{{Replica: 1, Status: "signal: killed", Expected: true}}
	return h
}

func event(reader string, index uint64, kind, id string, value int, incarnation uint64, health string, at int64) history.Seen {
	name := serviceOfKey(id)
	if name == "led" {
		name = "ledger-0"
	}
	return history.Seen{Reader: reader, What: "event", Index: index, Event: kind, ID: id, Service: name, Value: value,
		Incarnation: incarnation, Health: health, Changed: index, At: at, Replica: 1}
}

func TestASoundHistoryIsClean(t *testing.T) {
	r := Check(sound())
	if len(r.Violations) > 0 || len(r.Void) > 0 {
		t.Fatalf("%+v %v", r.Violations, r.Void)
	}
	for _, figure := range []string{"registers_checked", "events", "listings_replayed", "renewals", "lapses", "session_reads",
		"linearizable_listings", "polls", "states_compared", "writes_matched_to_events", "leaders_told", "removals"} {
		if r.Figures[figure] == 0 {
			t.Errorf("%s: nothing was looked at", figure)
		}
	}
}

// find returns the operation that `match` accepts.
func find(t *testing.T, h *history.History, match func(*history.Op) bool) *history.Op {
	for i := range h.Ops {
		if match(&h.Ops[i]) {
			return &h.Ops[i]
		}
	}
	t.Fatal("no such operation")
	return nil
}

func kindOf(kind, set string) func(*history.Op) bool {
	return func(op *history.Op) bool { return op.Kind == kind && op.Set == set }
}

func TestEveryViolationIsReported(t *testing.T) {
	for _, c := range []struct {
		name, check string
		add         func(*testing.T, *history.History)
	}{
		{"a write that another cluster acknowledged", "clusters_never_mix", func(t *testing.T, h *history.History) {
			op := find(t, h, func(op *history.Op) bool { return op.Key == "led-1-0" })
			op.Outcome, op.Status, op.Incarnation, op.Index = history.OK, 201, 500, 15
		}},
		{"a write acknowledged there is lost here", "acknowledged_is_there", func(t *testing.T, h *history.History) {
			op := find(t, h, func(op *history.Op) bool { return op.Key == "led-1-0" })
			op.Outcome, op.Status, op.Incarnation, op.Index = history.OK, 201, 500, 15
		}},
		{"a linearizable read of another cluster", "clusters_never_mix", func(t *testing.T, h *history.History) {
			find(t, h, func(op *history.Op) bool { return op.Digest == 4711 }).Mode = "linearizable"
		}},
		{"a listing of another cluster that is told too late", "listings_equal_events", func(t *testing.T, h *history.History) {
			op := find(t, h, func(op *history.Op) bool { return op.Digest == 4711 })
			op.Call, op.Return = 30*second+1, 30*second+2
		}},
		{"a state of another cluster that is told too late", "state_equal_at_equal_index", func(t *testing.T, h *history.History) {
			h.States[4].Asked, h.States[4].At = 30*second+1, 30*second+2
		}},
		{"another cluster's directory is ready", "clusters_never_mix", func(t *testing.T, h *history.History) {
			h.States[4].Ready = true
		}},
		{"another cluster's instance in a listing", "clusters_never_mix", func(t *testing.T, h *history.History) {
			h.Sights[0].Theirs = 1
		}},
		{"another cluster has an instance of ours", "clusters_never_mix", func(t *testing.T, h *history.History) {
			h.Sights[1].Ours = 1
		}},
		{"another cluster has lost a write", "clusters_never_mix", func(t *testing.T, h *history.History) {
			h.Sights[2].Theirs, h.Sights[3].Theirs = 2, 2
		}},
		{"another cluster loses a write", "clusters_never_mix", func(t *testing.T, h *history.History) {
			h.Sights = h.Sights[2:]
			h.Sights[1].Theirs = 2
		}},
		{"another cluster goes on with a minority", "clusters_never_mix", func(t *testing.T, h *history.History) {
			h.Sights[1].Ready = true
		}},
		{"one without a cluster shows something", "clusters_never_mix", func(t *testing.T, h *history.History) {
			h.Sights[1].Cluster = "none"
		}},
		{"another cluster's event", "clusters_never_mix", func(t *testing.T, h *history.History) {
			h.Seen = append(h.Seen, event("all-0", 14, "registered", "fork-1", 1, 500, "passing", 40*second),
				event("all-1", 14, "registered", "fork-1", 1, 500, "passing", 40*second))
		}},
		{"another cluster's instance at the end", "clusters_never_mix", func(t *testing.T, h *history.History) {
			h.Items = append(h.Items, history.Item{Replica: 1, ID: "fork-2", Health: "passing"})
		}},
		{"a stale linearizable read", "linearizable", func(t *testing.T, h *history.History) {
			get := find(t, h, kindOf(history.Get, "reg"))
			get.Status, get.Value, get.Incarnation = 404, 0, 0
		}},
		{"a value that nobody wrote", "linearizable", func(t *testing.T, h *history.History) {
			find(t, h, kindOf(history.Get, "reg")).Value = 99
		}},
		{"a registration applied twice", "linearizable", func(t *testing.T, h *history.History) {
			find(t, h, kindOf(history.Register, "reg")).Status = 200
		}},
		{"an incarnation that falls", "linearizable", func(t *testing.T, h *history.History) {
			h.Ops = append(h.Ops, history.Op{Client: "a", Kind: history.Register, Set: "reg", Key: "reg-0-0", Call: 20, Return: 21,
				Outcome: history.OK, Status: 200, Value: 2, Incarnation: 99})
		}},
		{"an older incarnation that is obeyed", "linearizable", func(t *testing.T, h *history.History) {
			h.Ops = append(h.Ops, history.Op{Client: "a", Kind: history.Deregister, Set: "reg", Key: "reg-0-0", Call: 20, Return: 21,
				Outcome: history.OK, Status: 200, Said: 50})
		}},
		{"an acknowledged write that is lost at one replica", "acknowledged_is_there", func(t *testing.T, h *history.History) {
			h.Items[2].ID = "led-9-9"
		}},
		{"a refused write that happened", "refused_has_no_effect", func(t *testing.T, h *history.History) {
			h.Items = append(h.Items, history.Item{Replica: 2, ID: "led-0-1", Value: 8})
		}},
		{"a session that does not read its own write", "own_writes_are_read", func(t *testing.T, h *history.History) {
			find(t, h, kindOf(history.Get, "ledger")).Status = 404
		}},
		{"an answer from before min_index", "min_index_is_kept", func(t *testing.T, h *history.History) {
			find(t, h, kindOf(history.Get, "ledger")).Applied = 10
		}},
		{"a session that goes back", "sessions_are_monotonic", func(t *testing.T, h *history.History) {
			h.Ops = append(h.Ops, history.Op{Client: "l", Kind: history.List, Mode: "min_index", Key: "flap", Call: 6 * second,
				Return: 6*second + 1, Outcome: history.OK, Status: 200, Index: 12, Applied: 14, MinIndex: 13, Count: 1,
				Digest: history.ItemDigest("flap-0", 1, 300, "passing", 12)})
		}},
		{"a linearizable listing behind what was told", "linearizable_reads_are_fresh", func(t *testing.T, h *history.History) {
			h.Ops = append(h.Ops, history.Op{Client: "x", Kind: history.List, Mode: "linearizable", Key: "flap", Call: 6 * second,
				Return: 6*second + 1, Outcome: history.OK, Status: 200, Index: 12, Count: 1,
				Digest: history.ItemDigest("flap-0", 1, 300, "passing", 12)})
		}},
		{"a long-poll that wakes for nothing", "polls_wake_for_a_change", func(t *testing.T, h *history.History) {
			find(t, h, kindOf(history.Poll, "")).Said = 13
		}},
		{"replicas that differ", "state_equal_at_equal_index", func(t *testing.T, h *history.History) { h.States[1].Hash = "z" }},
		{"replicas that do not come together", "replicas_converge", func(t *testing.T, h *history.History) { h.States[3].Index = 15 }},
		{"a replica that is gone at the end", "replicas_converge", func(t *testing.T, h *history.History) { h.States[3].Final = false }},
		{"two leaders of a term", "one_leader_a_term", func(t *testing.T, h *history.History) {
			h.States[6].Term, h.States[8].Term = 2, 2
		}},
		{"two leaders of a term in the lists of members", "one_leader_a_term", func(t *testing.T, h *history.History) {
			two := history.Roster{Replica: 1, Member: 2, Term: 2, Leader: 2}
			h.Rosters = append(h.Rosters, two, two)
		}},
		{"a leader that was taken out", "the_removed_never_lead", func(t *testing.T, h *history.History) {
			h.States = append(h.States, history.State{Replica: 1, Role: "leader", Term: 4, Life: "a", Index: 17, Hash: "u", At: 55 * second})
		}},
		{"a program that is not registered any more", "programs_go_on", func(t *testing.T, h *history.History) {
			h.Items[len(h.Items)-1].Health = "critical"
		}},
		{"a member that joined and does not come along", "replicas_converge", func(t *testing.T, h *history.History) {
			h.Run.MembersAtEnd = []int{1, 2, 4}
		}},
		{"a crash", "no_end_without_cause", func(t *testing.T, h *history.History) { h.Ends[0].Expected = false }},
		{"something seen while it ran", "does_not_heal", func(t *testing.T, h *history.History) { h.AddFinding("does_not_heal", "x") }},
		{"a write that is applied twice", "applied_at_most_once", func(t *testing.T, h *history.History) {
			h.Seen = append(h.Seen, event("all-0", 14, "updated", "reg-0-0", 2, 101, "passing", 4*second),
				event("all-0", 15, "updated", "reg-0-0", 1, 102, "passing", 4*second))
		}},
		{"a lease that expires early", "no_lapse_before_its_time", func(t *testing.T, h *history.History) {
			h.Seen[4].At, h.Seen[9].At = 2*second, 2*second
		}},
		{"a lease that expires before a renewal that was in time", "no_lapse_before_its_time", func(t *testing.T, h *history.History) {
			h.Ops = append(h.Ops, history.Op{Client: "d", Kind: history.Heartbeat, Set: "flap", Key: "flap-0", Call: 2 * second,
				Return: 2*second + 5, Outcome: history.OK, Status: 200, Index: 14, TTLMs: 2000})
		}},
		{"a live instance that expires", "the_living_never_lapse", func(t *testing.T, h *history.History) {
			h.Seen = append(h.Seen, event("all-0", 14, "expired", "live-0", 1, 400, "critical", 5*second),
				event("all-1", 14, "expired", "live-0", 1, 400, "critical", 5*second))
		}},
		{"a silent instance that stays", "the_silent_are_reaped", func(t *testing.T, h *history.History) {
			h.Items = append(h.Items, history.Item{Replica: 1, ID: "silent-3", Health: "critical"})
		}},
		{"a stream that misses an event", "streams_are_exact", func(t *testing.T, h *history.History) {
			h.Seen = append(h.Seen[:7], h.Seen[8:]...)
		}},
		{"a stream that tells an event twice", "streams_are_exact", func(t *testing.T, h *history.History) {
			h.Seen = append(h.Seen, h.Seen[9])
		}},
		{"a stream out of order", "streams_are_exact", func(t *testing.T, h *history.History) {
			h.Seen[7], h.Seen[8] = h.Seen[8], h.Seen[7]
		}},
		{"a bookmark that passes an event", "streams_are_exact", func(t *testing.T, h *history.History) {
			h.Seen = append(h.Seen, history.Seen{Reader: "flap", Filter: "flap", What: "start"},
				history.Seen{Reader: "flap", Filter: "flap", What: "bookmark", Index: 12})
		}},
		{"a reset to the past", "streams_are_exact", func(t *testing.T, h *history.History) {
			h.Seen = append(h.Seen, history.Seen{Reader: "all-1", What: "reset", Index: 3})
		}},
		{"an event that differs between replicas", "events_are_equal", func(t *testing.T, h *history.History) { h.Seen[7].Value = 8 }},
		{"a write without an event", "writes_have_events", func(t *testing.T, h *history.History) {
			h.Seen = append(h.Seen[:6], h.Seen[7:]...)
			h.Seen = append(h.Seen[:1], h.Seen[2:]...)
		}},
		{"a listing that shows another thing than the events", "listings_equal_events", func(t *testing.T, h *history.History) {
			find(t, h, kindOf(history.Poll, "")).Digest++
		}},
		{"a copy that is not what was there", "copies_equal_events", func(t *testing.T, h *history.History) {
			h.Seen = append(h.Seen, history.Seen{Reader: "copy-flap", Filter: "flap", What: "start"},
				history.Seen{Reader: "copy-flap", Filter: "flap", What: "synced", Index: 13, Changed: 13})
		}},
	} {
		c := c
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			h := sound()
			c.add(t, h)
			r := Check(h)
			for _, violation := range r.Violations {
				if violation.Check == c.check {
					return
				}
			}
			t.Fatalf("%s was not reported, but %+v", c.check, r.Violations)
		})
	}
}

func TestARunThatProvesNothingIsVoid(t *testing.T) {
	for name, spoil := range map[string]func(*history.History){
		"too few operations":         func(h *history.History) { h.Run.WarmOps = 100 },
		"a fault that was not felt":  func(h *history.History) { h.Faults[0].Bit = 0 },
		"a fault that failed":        func(h *history.History) { h.Faults[0].Error = "no" },
		"faults asked for, and none": func(h *history.History) { h.Faults, h.Run.Nemeses = nil, []string{"kill"} },
	} {
		h := sound()
		spoil(h)
		if r := Check(h); len(r.Void) == 0 || len(r.Violations) > 0 {
			t.Errorf("%s: %v %+v", name, r.Void, r.Violations)
		}
	}
}

func TestUnknownOutcomesMayHaveHappenedOrNot(t *testing.T) {
	for _, happened := range []bool{false, true} {
		h := sound()
		h.Ops = append(h.Ops,
			history.Op{Client: "a", Kind: history.Deregister, Set: "reg", Key: "reg-0-0", Call: 20, Return: 21,
				Outcome: history.Unknown, Status: 504})
		get := history.Op{Client: "b", Kind: history.Get, Set: "reg", Key: "reg-0-0", Call: 30, Return: 31, Outcome: history.OK,
			Status: 404}
		if !happened {
			get.Status, get.Value, get.Incarnation = 200, 1, 100
		}
		h.Ops = append(h.Ops, get)
		if r := Check(h); len(r.Violations) > 0 {
			t.Errorf("happened %v: %+v", happened, r.Violations)
		}
	}
}

func TestAnUnknownWriteMayHappenOnlyOnce(t *testing.T) {
	h := sound()
	at := int64(20)
	add := func(op history.Op) {
		op.Set, op.Key, op.Client, op.Call, op.Return = "reg", "reg-0-0", "a", at, at+1
		at += 10
		h.Ops = append(h.Ops, op)
	}
	add(history.Op{Kind: history.Register, Outcome: history.Unknown, Value: 2})
	add(history.Op{Kind: history.Get, Outcome: history.OK, Status: 200, Value: 2, Incarnation: 150})
	add(history.Op{Kind: history.Register, Outcome: history.OK, Status: 200, Value: 3, Incarnation: 160})
	add(history.Op{Kind: history.Get, Outcome: history.OK, Status: 200, Value: 2, Incarnation: 170})
	if r := Check(h); len(r.Violations) == 0 {
		t.Error("the write of 2 was seen again after 3, and nobody complained")
	}
}

func TestAResetExcusesAGap(t *testing.T) {
	h := sound()
	h.Seen[7] = history.Seen{Reader: "all-1", What: "reset", Index: 11, Replica: 2}
	if r := Check(h); len(r.Violations) > 0 {
		t.Errorf("%+v", r.Violations)
	}
}

func TestThePositionOfAnAnswerTellsWhichRenewalItWas(t *testing.T) {
	h := sound()
	// A renewal after the expiry, too late to have saved it.
	h.Ops = append(h.Ops, history.Op{Client: "d", Kind: history.Heartbeat, Set: "flap", Key: "flap-0", Call: 3*second + 1,
		Return: 4 * second, Outcome: history.OK, Status: 200, Index: 15, TTLMs: 2000})
	if r := Check(h); len(r.Violations) > 0 {
		t.Errorf("%+v", r.Violations)
	}
}
