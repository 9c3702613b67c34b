// Package checker decides what a history proves. Every checker is a pure function of the history, so
// old runs can be checked again by improved checkers.
package checker

import (
	"fmt"
	"sort"

	"muster/jepsen/history"
)

// Violation is one broken promise.
type Violation struct {
	Check  string `json:"check"`
	Detail string `json:"detail"`
	At     int64  `json:"at"` // where in the run to look
}

// Result has the findings of all checkers.
type Result struct {
	Violations []Violation        `json:"violations"`
	Void       []string           `json:"void"` // why the run proves nothing
	Figures    map[string]float64 `json:"figures"`
	Gaps       []Gap              `json:"gaps"` // longest time without an acknowledged write, per fault
}

// A broken promise is usually broken often: those beyond this are only counted.
const violationsShown = 20

func (r *Result) fail(check string, at int64, format string, values ...interface{}) {
	r.Figures["violations_of_"+check]++
	if r.Figures["violations_of_"+check] <= violationsShown {
		r.Violations = append(r.Violations, Violation{Check: check, Detail: fmt.Sprintf(format, values...), At: at})
	}
}

func newResult() *Result {
	return &Result{Figures: map[string]float64{}, Violations: []Violation{}, Void: []string{}}
}

// warmOpsMin per second before the first fault; a run with fewer proves too little.
const warmOpsMin = 500

// Check runs them all.
func Check(h *history.History) *Result {
	r := newResult()
	checkMixing(h, r)
	h = withoutForeign(h)
	events := truth(h, r)
	for _, check := range []func(*history.History, *Result){
		checkFindings, checkLinear, checkLedger, checkSessions, checkFresh, checkPolls, checkStates, checkEnds, checkLeaders, checkDeadlines, measure,
	} {
		check(h, r)
	}
	checkStreams(h, events, r)
	checkWritesHaveEvents(h, events, r)
	checkOnce(events, r)
	checkLeases(h, events, r)
	checkListings(h, events, r)
	checkCopies(h, events, r)
	checkPrograms(h, events, r)
	checkVoid(h, r)
	return r
}

func checkFindings(h *history.History, r *Result) {
	for _, f := range h.Findings {
		r.fail(f.Name, f.At, "%s", f.Detail)
	}
}

// checkVoid: a fault without effect, or an idle cluster, proves nothing.
func checkVoid(h *history.History, r *Result) {
	if h.Run.WarmOps < warmOpsMin {
		r.Void = append(r.Void, fmt.Sprintf("%.0f operations a second before the first fault, not %d", h.Run.WarmOps, warmOpsMin))
	}
	if len(h.Run.Nemeses) > 0 && len(h.Faults) == 0 {
		r.Void = append(r.Void, "no fault was injected")
	}
	for _, f := range h.Faults {
		if f.Bit == 0 || f.Error != "" {
			r.Void = append(r.Void, fmt.Sprintf("%s on %v at %.1f s did not bite (%s) %s", f.Kind, f.Targets,
				float64(f.From)/1e9, f.Proof, f.Error))
		}
	}
}

// checkEnds: no process ends without a cause.
func checkEnds(h *history.History, r *Result) {
	for _, end := range h.Ends {
		if !end.Expected {
			r.fail("no_end_without_cause", end.At, "replica %d ended by itself: %s", end.Replica, end.Status)
		}
	}
}

// checkStates: replicas at the same index have the same state, at every moment and at the end.
func checkStates(h *history.History, r *Result) {
	type first struct {
		hash    string
		replica int
		at      int64
	}
	seen := map[uint64]first{}
	compared := 0
	last := map[int]history.State{}
	for _, s := range h.States {
		if s.Final {
			last[s.Replica] = s
		}
		if before, there := seen[s.Index]; !there {
			seen[s.Index] = first{s.Hash, s.Replica, s.At}
		} else {
			compared++
			if before.hash != s.Hash {
				r.fail("state_equal_at_equal_index", s.At, "index %d: replica %d says %s, replica %d said %s at %.3f s",
					s.Index, s.Replica, s.Hash, before.replica, before.hash, float64(before.at)/1e9)
			}
		}
	}
	r.Figures["states_compared"] = float64(compared)
	members := h.Run.Replicas
	if h.Run.MembersAtEnd != nil {
		members = len(h.Run.MembersAtEnd)
	}
	if members > 0 && len(last) != members {
		r.fail("replicas_converge", h.Run.EndNs, "%d of %d replicas told their final state", len(last), members)
	}
	for n, s := range last {
		for m, other := range last {
			if n < m && (s.Index != other.Index || s.Hash != other.Hash) {
				r.fail("replicas_converge", s.At, "at the end replica %d is at %d with %s, replica %d at %d with %s",
					n, s.Index, s.Hash, m, other.Index, other.Hash)
			}
		}
	}
}

// sorted returns the operations that `keep` accepts, by time of invocation.
func sorted(h *history.History, keep func(*history.Op) bool) []history.Op {
	found := []history.Op{}
	for i := range h.Ops {
		if keep(&h.Ops[i]) {
			found = append(found, h.Ops[i])
		}
	}
	sort.SliceStable(found, func(a, b int) bool { return found[a].Call < found[b].Call })
	return found
}
