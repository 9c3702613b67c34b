package checker

import (
	"sort"

	"muster/jepsen/history"
)

// Cluster time is in whole milliseconds, and a leader's clock may be read a little after the request arrived.
const leaseGrainNs = int64(5e6)

// checkLeases: no lease expires before its time. Renewals and expiries are both entries of the log, so the
// index tells which renewal preceded an expiry. The time of its request is known,
// and the expiry had happened when somebody first saw it, or when a later renewal was acknowledged.
func checkLeases(h *history.History, events *eventTruth, r *Result) {
	renewals := map[string][]history.Op{}
	last := map[string]int64{} // time of the last request of any kind, whatever its outcome
	for _, op := range h.Ops {
		if !isHeartbeatSet(op.Set) || op.Kind == history.Get {
			continue
		}
		if op.Return > last[op.Key] {
			last[op.Key] = op.Return
		}
		if op.Outcome == history.OK && op.Status < 300 && op.Index != 0 {
			renewals[op.Key] = append(renewals[op.Key], op)
			r.Figures["renewals"]++
		}
	}
	for _, all := range renewals {
		sort.Slice(all, func(a, b int) bool { return all[a].Index < all[b].Index })
	}
	lateness := []float64{}
	for _, e := range events.all {
		if e.Event != "expired" || !isHeartbeatSet(serviceOfKey(e.ID)) {
			continue
		}
		r.Figures["lapses"]++
		if serviceOfKey(e.ID) == "live" {
			r.fail("the_living_never_lapse", e.At, "%s expired at index %d although it was heard at every replica", e.ID, e.Index)
		}
		all := renewals[e.ID]
		next := sort.Search(len(all), func(i int) bool { return all[i].Index >= e.Index })
		if next == 0 {
			continue
		}
		renewal, seen := all[next-1], e.At
		if next < len(all) && all[next].Index > e.Index && all[next].Return < seen {
			seen = all[next].Return
		}
		due := renewal.Call + renewal.TTLMs*1e6
		if seen < due-leaseGrainNs {
			r.fail("no_lapse_before_its_time", seen, "%s: renewed at %.3f s (index %d, ttl %d ms), expired at index %d, seen at %.3f s",
				e.ID, float64(renewal.Call)/1e9, renewal.Index, renewal.TTLMs, e.Index, float64(seen)/1e9)
		}
		if last[e.ID] <= renewal.Return {
			late := float64(e.At-renewal.Return-renewal.TTLMs*1e6) / 1e9
			lateness = append(lateness, late)
		}
	}
	quantiles(r, "lapse_late_s", lateness)
	checkSilent(h, r)
}

// checkSilent: at the end, instances silent for long have been reaped at every replica.
func checkSilent(h *history.History, r *Result) {
	for _, item := range h.Items {
		if serviceOfKey(item.ID) == "silent" {
			r.fail("the_silent_are_reaped", h.Run.EndNs, "%s is still there at replica %d, %s", item.ID, item.Replica, item.Health)
		}
		if serviceOfKey(item.ID) == "live" && item.Health != "passing" {
			r.fail("the_living_never_lapse", h.Run.EndNs, "%s is %s at replica %d", item.ID, item.Health, item.Replica)
		}
	}
}

func quantiles(r *Result, name string, values []float64) {
	r.Figures[name+"_count"] = float64(len(values))
	if len(values) == 0 {
		return
	}
	sort.Float64s(values)
	r.Figures[name+"_p50"] = values[len(values)/2]
	r.Figures[name+"_p99"] = values[len(values)*99/100]
	r.Figures[name+"_max"] = values[len(values)-1]
}
