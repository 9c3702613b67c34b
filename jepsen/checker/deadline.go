package checker

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"muster/jepsen/history"
)

const (
	// The replicas' own limit (--write-timeout); blocking queries specify theirs.
	answeredWithin = 2 * time.Second
	pollsFor       = 2 * time.Second
	// For the network and a busy machine. Less than clients wait beyond these limits.
	deadlineSlack = 1500 * time.Millisecond
	// A shorter stall may meet no request.
	askedWithin = time.Second
)

// withinDeadline are faults during which a replica still answers: its process and network are not stopped.
func withinDeadline(kind string) bool {
	return strings.HasPrefix(kind, "disk-stuck") || strings.HasPrefix(kind, "stuck-log")
}

func deadlineOf(op *history.Op) time.Duration {
	if op.Kind == history.Poll {
		return answeredWithin + pollsFor
	}
	return answeredWithin
}

// checkDeadlines: a request to a replica whose disk, or log reader, is stuck is answered by its
// deadline, and never hangs.
func checkDeadlines(h *history.History, r *Result) {
	asked := map[int][]*history.Op{} // by replica and time
	for i := range h.Ops {
		op := &h.Ops[i]
		asked[op.Replica] = append(asked[op.Replica], op)
	}
	for _, ops := range asked {
		sort.SliceStable(ops, func(a, b int) bool { return ops[a].Call < ops[b].Call })
	}
	for _, f := range h.Faults {
		if !withinDeadline(f.Kind) {
			continue
		}
		for _, replica := range f.Targets {
			count := checkDeadlinesOf(h, f, replica, asked[replica], r)
			r.Figures["asked_while_disk_or_log_stuck"] += float64(count)
			if count == 0 && time.Duration(f.To-f.From) > askedWithin {
				r.Void = append(r.Void, fmt.Sprintf("nobody asked replica %d in its %s at %.1f s", replica, f.Kind, float64(f.From)/1e9))
			}
		}
	}
}

// stops are the families of faults, as their kinds begin, during which a replica itself stands still or is gone.
var stops = []string{"pause", "kill", "power", "rolling", "io-error", "empty", "fork", "damage", "members"}

// isHeldUp: another fault stopped the replica while the request was under way.
func isHeldUp(h *history.History, op *history.Op) bool {
	for _, f := range h.Faults {
		isStop := slices.ContainsFunc(stops, func(s string) bool { return strings.HasPrefix(f.Kind, s) })
		if isStop && f.From < op.Return && f.To > op.Call && slices.Contains(f.Targets, op.Replica) {
			return true
		}
	}
	return false
}

// checkDeadlinesOf checks the requests to a replica during a fault, and returns their number.
func checkDeadlinesOf(h *history.History, f history.Fault, replica int, ops []*history.Op, r *Result) int {
	count := 0
	for at := sort.Search(len(ops), func(i int) bool { return ops[i].Call >= f.From }); at < len(ops) && ops[at].Call <= f.To; at++ {
		op, took := ops[at], time.Duration(ops[at].Return-ops[at].Call)
		count++
		if took > deadlineOf(op)+deadlineSlack && !isHeldUp(h, op) {
			r.fail("answered_by_the_deadline", op.Call, "%s of %s took %s at replica %d in its %s, and came to %d %s",
				op.Kind, op.Key, took.Round(time.Millisecond), replica, f.Kind, op.Status, op.Outcome)
		}
	}
	return count
}
