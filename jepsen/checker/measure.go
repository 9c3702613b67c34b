package checker

import (
	"sort"

	"muster/jepsen/history"
)

// Gap is the longest time without an acknowledged write during a fault and just after.
type Gap struct {
	Kind    string  `json:"kind"`
	Seconds float64 `json:"seconds"`
	FaultS  float64 `json:"fault_s"` // duration of the fault
}

const afterFaultNs = int64(3e9)

func measure(h *history.History, r *Result) {
	times := []int64{}
	for _, op := range h.Ops {
		r.Figures["operations"]++
		r.Figures["operations_"+string(op.Outcome)]++
		written := op.Kind == history.Register || op.Kind == history.Deregister || op.Kind == history.Update
		if written && op.Outcome == history.OK {
			times = append(times, op.Return)
		}
	}
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	for _, f := range h.Faults {
		from, to := f.From, f.To+afterFaultNs
		longest, before := int64(0), from
		for i := sort.Search(len(times), func(i int) bool { return times[i] >= from }); i < len(times) && before < to; i++ {
			if times[i]-before > longest {
				longest = times[i] - before
			}
			before = times[i]
		}
		r.Gaps = append(r.Gaps, Gap{Kind: f.Kind, Seconds: float64(longest) / 1e9, FaultS: float64(f.To-f.From) / 1e9})
	}
}
