package checker

import (
	"sort"

	"muster/jepsen/history"
)

type position struct{ index, at uint64 }

func (p position) before(q position) bool {
	return p.index < q.index || (p.index == q.index && p.at < q.at)
}

func positionOf(s *history.Seen) position { return position{s.Index, s.Position} }

// eventTruth has every event that any reader received, each once, in the order of the log.
type eventTruth struct {
	all      []history.Seen // At is when it was first seen
	at       map[position]int
	complete bool // from the first index on, without a reset
}

// truth merges the events of all readers. An event has the same content from every replica.
func truth(h *history.History, r *Result) *eventTruth {
	found := map[position]history.Seen{}
	complete := map[string]bool{}
	for i := range h.Seen {
		s := &h.Seen[i]
		if s.Filter == "" && s.What == "start" && s.Index == 0 {
			if _, again := complete[s.Reader]; !again {
				complete[s.Reader] = true
			}
		}
		if s.What == "reset" {
			complete[s.Reader] = false
		}
		if s.What != "event" {
			continue
		}
		before, there := found[positionOf(s)]
		if !there {
			found[positionOf(s)] = *s
			continue
		}
		if before.Event != s.Event || before.ID != s.ID || before.Value != s.Value || before.Incarnation != s.Incarnation ||
			before.Health != s.Health || before.Changed != s.Changed {
			r.fail("events_are_equal", s.At, "%d.%d: %s got %s of %s (%d, %s) from replica %d; %s got %s of %s (%d, %s) from replica %d",
				s.Index, s.Position, s.Reader, s.Event, s.ID, s.Value, s.Health, s.Replica,
				before.Reader, before.Event, before.ID, before.Value, before.Health, before.Replica)
		}
		if s.At < before.At {
			before.At = s.At
			found[positionOf(s)] = before
		}
	}
	t := &eventTruth{at: map[position]int{}}
	for _, s := range found {
		t.all = append(t.all, s)
	}
	sort.Slice(t.all, func(a, b int) bool { return positionOf(&t.all[a]).before(positionOf(&t.all[b])) })
	for i := range t.all {
		t.at[positionOf(&t.all[i])] = i
	}
	for _, whole := range complete {
		t.complete = t.complete || whole
	}
	r.Figures["events"] = float64(len(t.all))
	return t
}

// checkStreams: each chain of connections has every matching event, once, in order; a reset gives
// the range in which events are missing.
func checkStreams(h *history.History, events *eventTruth, r *Result) {
	chains := map[string][]*history.Seen{}
	for i := range h.Seen {
		chains[h.Seen[i].Reader] = append(chains[h.Seen[i].Reader], &h.Seen[i])
	}
	names := []string{}
	for name := range chains {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		checkChain(name, chains[name], events, r)
	}
}

func checkChain(name string, chain []*history.Seen, events *eventTruth, r *Result) {
	var last position
	known := false      // there is an id to resume after
	presenting := false // during a snapshot: events may come for instances already presented
	for _, s := range chain {
		here := positionOf(s)
		switch s.What {
		case "start":
			last, known = here, s.Filter == "" || !isCopy(name)
			presenting = isCopy(name)
		case "reset":
			r.Figures["resets"]++
			if known && here.before(last) {
				r.fail("streams_are_exact", s.At, "%s: a reset to %d.%d, before %d.%d", name, here.index, here.at, last.index, last.at)
			}
			last, known = here, true
			presenting = isCopy(name)
		case "synced":
			last, known, presenting = here, true, false
		case "bookmark", "event":
			r.Figures["stream_"+s.What+"s"]++
			if presenting {
				continue
			}
			if known {
				if here.before(last) || (s.What == "event" && here == last) {
					r.fail("streams_are_exact", s.At, "%s: %s %d.%d from replica %d after %d.%d", name, s.What, here.index, here.at,
						s.Replica, last.index, last.at)
					continue
				}
				checkNoGap(name, s, last, here, events, r)
			}
			last, known = here, true
		}
	}
}

// isCopy reports whether a reader starts with a snapshot.
func isCopy(reader string) bool { return len(reader) > 5 && reader[:5] == "copy-" }

// checkNoGap: no matching event lies between two consecutive ids of a reader.
func checkNoGap(name string, s *history.Seen, from, to position, events *eventTruth, r *Result) {
	i := sort.Search(len(events.all), func(i int) bool { return from.before(positionOf(&events.all[i])) })
	for ; i < len(events.all) && positionOf(&events.all[i]).before(to); i++ {
		if e := &events.all[i]; s.Filter == "" || e.Service == s.Filter {
			r.fail("streams_are_exact", s.At, "%s: after %d.%d came %d.%d from replica %d; %s of %s at %d.%d is missing", name,
				from.index, from.at, to.index, to.at, s.Replica, e.Event, e.ID, e.Index, e.Position)
		}
	}
	if s.What == "bookmark" && i < len(events.all) && positionOf(&events.all[i]) == to {
		if e := &events.all[i]; s.Filter == "" || e.Service == s.Filter {
			r.fail("streams_are_exact", s.At, "%s: the bookmark %d.%d passes %s of %s, which was not sent", name, to.index, to.at,
				e.Event, e.ID)
		}
	}
}

// checkWritesHaveEvents: an acknowledged registration or deregistration has an event at the index returned to
// its client.
func checkWritesHaveEvents(h *history.History, events *eventTruth, r *Result) {
	if !events.complete || len(events.all) == 0 {
		return
	}
	type change struct {
		index uint64
		id    string
	}
	changes := map[change]string{}
	for i := range events.all {
		e := &events.all[i]
		changes[change{e.Index, e.ID}] += e.Event + " "
	}
	end := events.all[len(events.all)-1].Index
	for _, op := range h.Ops {
		created := op.Kind == history.Register && op.Status == 201
		removed := op.Kind == history.Deregister && op.Status == 200
		if op.Outcome != history.OK || op.Index == 0 || op.Index > end || (!created && !removed) {
			continue
		}
		r.Figures["writes_matched_to_events"]++
		if _, there := changes[change{op.Index, op.Key}]; !there {
			r.fail("writes_have_events", op.Return, "%s of %s at index %d has no event", op.Kind, op.Key, op.Index)
		}
	}
}

// checkOnce: no write is applied twice. Every write of the register set has a unique value, so one
// value at two positions in the log is one write applied twice.
func checkOnce(events *eventTruth, r *Result) {
	type write struct {
		id    string
		value int
	}
	first := map[write]*history.Seen{}
	for i := range events.all {
		e := &events.all[i]
		if (serviceOfKey(e.ID) != "reg" && serviceOfKey(e.ID) != "led") || (e.Event != "registered" && e.Event != "updated") {
			continue
		}
		w := write{e.ID, e.Value}
		if before := first[w]; before != nil {
			r.fail("applied_at_most_once", e.At, "%s with %d was written at %d.%d and again at %d.%d", e.ID, e.Value, before.Index,
				before.Position, e.Index, e.Position)
			continue
		}
		first[w] = e
	}
}
