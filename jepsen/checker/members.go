package checker

import (
	"fmt"

	"muster/jepsen/history"
)

// told is a replica's own report that it leads a term.
type told struct {
	replica int
	at      int64
}

// onlyLeader reports terms that two replicas claim to lead. Role and term are not read atomically, so each
// must have claimed it twice.
func onlyLeader(r *Result, terms map[uint64]map[string][]told) {
	for term, leaders := range terms {
		first := ""
		for who, all := range leaders {
			if len(all) < 2 {
				continue
			}
			if first == "" {
				first = who
				continue
			}
			other := leaders[first][0]
			r.fail("one_leader_a_term", all[0].at, "term %d: replica %d says that %s leads, replica %d said %s at %.3f s", term, all[0].replica,
				who, other.replica, first, float64(other.at)/1e9)
		}
	}
}

// checkLeaders: a term has one leader, and a removed life leads no term after the one in which its removal
// was known.
func checkLeaders(h *history.History, r *Result) {
	lives, members := map[uint64]map[string][]told{}, map[uint64]map[string][]told{}
	claim := func(terms map[uint64]map[string][]told, term uint64, who string, by told) {
		r.Figures["leaders_told"]++
		if terms[term] == nil {
			terms[term] = map[string][]told{}
		}
		terms[term][who] = append(terms[term][who], by)
	}
	removed := map[string]history.Removal{}
	for _, removal := range h.Removals {
		removed[removal.Life] = removal
	}
	r.Figures["removals"] = float64(len(h.Removals))
	for _, s := range h.States {
		if s.Role != "leader" || s.Life == "" {
			continue
		}
		claim(lives, s.Term, "life "+s.Life, told{s.Replica, s.At})
		if removal, gone := removed[s.Life]; gone && s.Term >= removal.Term {
			r.fail("the_removed_never_lead", s.At, "replica %d, life %s, leads term %d; it was taken out, as was known in term %d at %.3f s",
				s.Replica, s.Life, s.Term, removal.Term, float64(removal.At)/1e9)
		}
	}
	for _, one := range h.Rosters {
		if one.Leader != one.Member {
			continue // second-hand: during an election it is of an earlier term
		}
		claim(members, one.Term, fmt.Sprintf("member %d", one.Leader), told{one.Replica, one.At})
	}
	onlyLeader(r, lives)
	onlyLeader(r, members)
}

// checkPrograms: programs under `muster run` are registered at the end, at every replica. Expiries are only counted:
// such a program tries one replica after the other, and may be too late.
func checkPrograms(h *history.History, events *eventTruth, r *Result) {
	passing := map[int]map[string]bool{}
	for _, item := range h.Items {
		if passing[item.Replica] == nil {
			passing[item.Replica] = map[string]bool{}
		}
		passing[item.Replica][item.ID] = item.Health == "passing"
	}
	for _, id := range h.Run.Programs {
		for replica, items := range passing {
			if !items[id] {
				r.fail("programs_go_on", h.Run.EndNs, "%s, under `muster run`, is not passing at replica %d at the end", id, replica)
			}
		}
		for _, e := range events.all {
			if e.ID == id && e.Event == "expired" {
				r.Figures["programs_lapsed"]++
			}
		}
	}
}
