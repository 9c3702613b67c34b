package checker

import (
	"sort"
	"strings"

	"muster/jepsen/history"
)

// checkLedger: every acknowledged write-once registration is in every replica's listing at the end, with
// what was written, and no refused one is.
func checkLedger(h *history.History, r *Result) {
	held := map[int]map[string]history.Item{}
	for _, item := range h.Items {
		if held[item.Replica] == nil {
			held[item.Replica] = map[string]history.Item{}
		}
		held[item.Replica][item.ID] = item
	}
	if len(held) == 0 {
		r.fail("acknowledged_is_there", h.Run.EndNs, "no replica could be listed at the end")
		return
	}
	for _, op := range h.Ops {
		if op.Set != "ledger" || op.Kind != history.Register {
			continue
		}
		r.Figures["ledger_"+string(op.Outcome)]++
		for n, items := range held {
			item, there := items[op.Key]
			switch {
			case op.Outcome == history.OK && (!there || item.Value != op.Value || item.Incarnation != op.Incarnation):
				r.fail("acknowledged_is_there", op.Return, "%s, acknowledged by replica %d at index %d: replica %d has %+v",
					op.Key, op.Replica, op.Index, n, item)
			case op.Outcome == history.Refused && there:
				r.fail("refused_has_no_effect", op.Return, "%s, refused by replica %d with %d: replica %d has it",
					op.Key, op.Replica, op.Status, n)
			}
		}
	}
}

// checkSessions: with min_index a session never sees less than it has seen, and reads its own writes.
func checkSessions(h *history.History, r *Result) {
	wrote := map[string]history.Op{} // ledger id: its registration
	for _, op := range h.Ops {
		if op.Set == "ledger" && op.Kind == history.Register && op.Outcome == history.OK {
			wrote[op.Key] = op
		}
	}
	highest := map[string]uint64{} // client and service
	for _, op := range sorted(h, func(op *history.Op) bool { return op.Mode == "min_index" && op.Outcome == history.OK }) {
		r.Figures["session_reads"]++
		if op.Applied < op.MinIndex {
			r.fail("min_index_is_kept", op.Return, "%s asked replica %d for index %d and was answered at %d", op.Client,
				op.Replica, op.MinIndex, op.Applied)
		}
		if op.Kind == history.Get {
			own, there := wrote[op.Key]
			if there && own.Return <= op.Call && op.MinIndex >= own.Index && (op.Status != 200 || op.Value != own.Value) {
				r.fail("own_writes_are_read", op.Return, "%s wrote %s at index %d; replica %d with min_index %d: status %d, value %d",
					op.Client, op.Key, own.Index, op.Replica, op.MinIndex, op.Status, op.Value)
			}
			continue
		}
		session := op.Client + " " + op.Key
		if op.Index < highest[session] {
			r.fail("sessions_are_monotonic", op.Return, "%s saw %s at index %d, then at %d from replica %d", op.Client, op.Key,
				highest[session], op.Index, op.Replica)
		}
		if op.Index > highest[session] {
			highest[session] = op.Index
		}
	}
}

// checkFresh: a linearizable listing shows at least what was reported to anybody before its request.
func checkFresh(h *history.History, r *Result) {
	type known struct {
		at    int64
		index uint64
	}
	by := map[string][]known{}
	for _, op := range h.Ops {
		if op.Outcome != history.OK || op.Index == 0 {
			continue
		}
		switch {
		case op.Kind == history.List || op.Kind == history.Poll:
			by[op.Key] = append(by[op.Key], known{op.Return, op.Index})
		case op.Set == "reg" && op.Kind != history.Heartbeat && op.Kind != history.Get && op.Status < 300:
			by["reg"] = append(by["reg"], known{op.Return, op.Index})
		}
	}
	for _, all := range by {
		sort.Slice(all, func(a, b int) bool { return all[a].at < all[b].at })
		for i := 1; i < len(all); i++ {
			if all[i].index < all[i-1].index {
				all[i].index = all[i-1].index
			}
		}
	}
	for _, op := range h.Ops {
		if op.Kind != history.List || op.Mode != "linearizable" || op.Outcome != history.OK {
			continue
		}
		r.Figures["linearizable_listings"]++
		all := by[op.Key]
		before := sort.Search(len(all), func(i int) bool { return all[i].at >= op.Call })
		if before > 0 && op.Index < all[before-1].index {
			r.fail("linearizable_reads_are_fresh", op.Return, "%s of replica %d is at index %d; index %d had been told before",
				op.Key, op.Replica, op.Index, all[before-1].index)
		}
	}
}

// checkPolls: a blocking query is answered on a change or at the end of its wait.
func checkPolls(h *history.History, r *Result) {
	for _, op := range h.Ops {
		if op.Kind != history.Poll || op.Outcome != history.OK {
			continue
		}
		r.Figures["polls"]++
		if op.Index <= op.Said && !op.Waited {
			r.fail("polls_wake_for_a_change", op.Return, "%s of replica %d beyond index %d was answered at %d after %.3f s", op.Key,
				op.Replica, op.Said, op.Index, float64(op.Return-op.Call)/1e9)
		}
	}
}

// isHeartbeatSet reports whether the leases of a set matter.
func isHeartbeatSet(set string) bool { return set == "live" || set == "silent" || set == "flap" }

func serviceOfKey(key string) string {
	if dash := strings.IndexByte(key, '-'); dash > 0 {
		return key[:dash]
	}
	return key
}
