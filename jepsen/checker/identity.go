package checker

import (
	"strings"

	"muster/jepsen/history"
)

// awayAs reports whether the replica's address belonged to something else at any time in this period.
func awayAs(h *history.History, why string, replica int, from, to int64) bool {
	for _, a := range h.Aways {
		if a.Why == why && a.Touches(replica, from, to) {
			return true
		}
	}
	return false
}

// withoutForeign drops what a replica with the other cluster's directory reported of its own state:
// reads without a leader. Writes and linearizable reads stay: whoever answers these is our cluster.
func withoutForeign(h *history.History) *history.History {
	if len(h.Aways) == 0 {
		return h
	}
	ours := history.New()
	ours.Run, ours.Seen, ours.Faults, ours.Ends = h.Run, h.Seen, h.Faults, h.Ends
	ours.Findings, ours.Items, ours.Aways, ours.Sights = h.Findings, h.Items, h.Aways, h.Sights
	ours.Removals = h.Removals
	for _, op := range h.Ops {
		reads := op.Kind == history.List || op.Kind == history.Poll || op.Kind == history.Get
		if !reads || op.Mode == "linearizable" || !awayAs(h, history.Foreign, op.Replica, op.Call, op.Return) {
			ours.Ops = append(ours.Ops, op)
		}
	}
	for _, s := range h.States {
		if !awayAs(h, history.Foreign, s.Replica, s.Asked, s.At) {
			ours.States = append(ours.States, s)
		}
	}
	for _, told := range h.Rosters {
		if !awayAs(h, history.Foreign, told.Replica, told.Asked, told.At) {
			ours.Rosters = append(ours.Rosters, told)
		}
	}
	return ours
}

// checkMixing: neither cluster ever accepts anything of the other.
func checkMixing(h *history.History, r *Result) {
	const name = "clusters_never_mix"
	for _, op := range h.Ops {
		reads := op.Kind == history.List || op.Kind == history.Poll || op.Kind == history.Get
		for _, a := range h.Aways {
			if a.Why == history.Foreign && op.Outcome == history.OK && a.Covers(op.Replica, op.Call, op.Return) &&
				(!reads || op.Mode == "linearizable") {
				r.fail(name, op.Return, "replica %d, with the other cluster's directory, answered %s of %s with %d", op.Replica, op.Kind,
					op.Key, op.Status)
			}
		}
	}
	for _, s := range h.States {
		for _, a := range h.Aways {
			if a.Why == history.Foreign && s.Ready && a.Covers(s.Replica, s.Asked, s.At) {
				r.fail(name, s.At, "replica %d, with the other cluster's directory, says that it is ready", s.Replica)
			}
		}
	}
	for _, s := range h.Seen {
		if strings.HasPrefix(s.ID, history.ForeignPrefix) {
			r.fail(name, s.At, "%s got %s of %s from replica %d", s.Reader, s.Event, s.ID, s.Replica)
		}
	}
	for _, item := range h.Items {
		if strings.HasPrefix(item.ID, history.ForeignPrefix) {
			r.fail(name, h.Run.EndNs, "%s is at replica %d at the end", item.ID, item.Replica)
		}
	}
	checkSights(h, r, name)
	checkTheirs(h, r, name)
}

// sightsMin in a period suffice to judge the replica's contents: it listens before it has applied everything.
const sightsMin = 3

// checkTheirs: a replica of the other cluster has what that one acknowledged, once its log is applied.
func checkTheirs(h *history.History, r *Result, name string) {
	for _, a := range h.Aways {
		seen, most := 0, 0
		for _, s := range h.Sights {
			if a.Why != history.Foreign || s.Cluster != h.Run.Other || !a.Covers(s.Replica, s.At, s.At) {
				continue
			}
			if s.Theirs < most {
				r.fail(name, s.At, "replica %d, of the other cluster, had %d of its instances, and then %d", s.Replica, most, s.Theirs)
			}
			seen, most = seen+1, s.Theirs
		}
		if seen >= sightsMin && most != h.Run.OtherWrites {
			r.fail(name, a.To, "replica %d, of the other cluster, has %d of its %d instances", a.Replica, most, h.Run.OtherWrites)
		}
	}
}

func checkSights(h *history.History, r *Result, name string) {
	for _, s := range h.Sights {
		switch s.Cluster {
		case h.Run.Cluster:
			r.Figures["sights_of_this_cluster"]++
			if s.Theirs > 0 {
				r.fail(name, s.At, "replica %d shows %d ids of the other cluster, such as %s", s.Replica, s.Theirs, s.TheirID)
			}
		case h.Run.Other:
			r.Figures["sights_of_the_other_cluster"]++
			if s.Ours > 0 {
				r.fail(name, s.At, "replica %d, of the other cluster, shows %d of our ids, such as %s", s.Replica, s.Ours, s.OurID)
			}
			if s.Ready {
				r.fail(name, s.At, "replica %d is ready in the other cluster, of which no majority runs", s.Replica)
			}
		default:
			if s.Ready || s.Ours+s.Theirs > 0 {
				r.fail(name, s.At, "replica %d, of cluster %s, shows %d of our ids and %d of the other cluster's; ready: %t", s.Replica,
					s.Cluster, s.Ours, s.Theirs, s.Ready)
			}
		}
	}
}
