package checker

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"muster/jepsen/history"
)

const (
	// The replicas' own limit (--write-timeout); long-polls ask for their time.
	answeredWithin = 2 * time.Second
	pollsFor       = 2 * time.Second
	// For the way, and a machine that is busy. Less than what clients wait beyond these limits.
	deadlineSlack = 1500 * time.Millisecond
	// A disk that stands still for less may be asked nothing.
	askedWithin = time.Second
)

// withinDeadline are faults in which a replica goes on answering: nobody stops its process, or the way to it.
func withinDeadline(kind string) bool {
	return strings.HasPrefix(kind, "disk-stuck") || strings.HasPrefix(kind, "stuck-log")
}

func deadlineOf(op *history.Op) time.Duration {
	if op.Kind == history.Poll {
		return answeredWithin + pollsFor
	}
	return answeredWithin
}

// checkDeadlines: a request to a replica whose disk, or whose log's reader, stands still is answered by its
// deadline, and never left hanging.
func checkDeadlines(h *history.History, r *Result) {
	asked := map[int][]*history.Op{} // of each replica, by time
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
			count := checkDeadlinesOf(f, replica, asked[replica], r)
			r.Figures["asked_while_disk_or_log_stuck"] += float64(count)
			if count == 0 && time.Duration(f.To-f.From) > askedWithin {
				r.Void = append(r.Void, fmt.Sprintf("nobody asked replica %d in its %s at %.1f s", replica, f.Kind, float64(f.From)/1e9))
			}
		}
	}
}

// checkDeadlinesOf looks at what was asked of a replica in a fault; returns how much that was.
func checkDeadlinesOf(f history.Fault, replica int, ops []*history.Op, r *Result) int {
	count := 0
	for at := sort.Search(len(ops), func(i int) bool { return ops[i].Call >= f.From }); at < len(ops) && ops[at].Call <= f.To; at++ {
		op, took := ops[at], time.Duration(ops[at].Return-ops[at].Call)
		count++
		if took > deadlineOf(op)+deadlineSlack {
			r.fail("answered_by_the_deadline", op.Call, "%s of %s took %s at replica %d in its %s, and came to %d %s",
				op.Kind, op.Key, took.Round(time.Millisecond), replica, f.Kind, op.Status, op.Outcome)
		}
	}
	return count
}
