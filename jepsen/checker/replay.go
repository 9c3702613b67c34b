package checker

import (
	"sort"

	"muster/jepsen/history"
)

// service is the content of a service according to the events so far.
type service struct {
	items  map[string]uint64 // digest by id
	digest uint64
	index  uint64 // of the last change
}

func (s *service) apply(e *history.Seen) {
	s.digest -= s.items[e.ID]
	delete(s.items, e.ID)
	if e.Event != "deregistered" && e.Event != "reaped" {
		s.items[e.ID] = history.ItemDigest(e.ID, e.Value, e.Incarnation, e.Health, e.Changed)
		s.digest += s.items[e.ID]
	}
	s.index = e.Index
}

// checkListings: a listing at an index equals the replay of the events up to that index, whichever replica
// gave it and however stale it was.
func checkListings(h *history.History, events *eventTruth, r *Result) {
	if !events.complete || len(events.all) == 0 {
		return
	}
	lists := map[string][]history.Op{}
	for _, op := range h.Ops {
		if (op.Kind == history.List || op.Kind == history.Poll) && op.Outcome == history.OK && op.Index != 0 {
			lists[op.Key] = append(lists[op.Key], op)
		}
	}
	by := map[string][]*history.Seen{}
	for i := range events.all {
		by[events.all[i].Service] = append(by[events.all[i].Service], &events.all[i])
	}
	end := events.all[len(events.all)-1].Index
	for name, all := range lists {
		sort.SliceStable(all, func(a, b int) bool { return all[a].Index < all[b].Index })
		state, next := service{items: map[string]uint64{}}, 0
		for i := range all {
			op := &all[i]
			if op.Index > end {
				break
			}
			for ; next < len(by[name]) && by[name][next].Index <= op.Index; next++ {
				state.apply(by[name][next])
			}
			r.Figures["listings_replayed"]++
			if state.digest != op.Digest || len(state.items) != op.Count {
				r.fail("listings_equal_events", op.Return, "%s at index %d from replica %d (%s): %d instances, the events say %d, last changed at %d",
					name, op.Index, op.Replica, op.Mode, op.Count, len(state.items), state.index)
			}
		}
	}
}

// checkCopies: at each `synced`, the copy of a reader that started with a snapshot equals the replay.
func checkCopies(h *history.History, events *eventTruth, r *Result) {
	if !events.complete {
		return
	}
	copies := map[string]*service{}
	for i := range h.Seen {
		s := &h.Seen[i]
		if !isCopy(s.Reader) {
			continue
		}
		c := copies[s.Reader]
		if c == nil || s.What == "start" || s.What == "reset" {
			c = &service{items: map[string]uint64{}}
			copies[s.Reader] = c
		}
		switch s.What {
		case "present":
			c.digest -= c.items[s.ID]
			c.items[s.ID] = history.ItemDigest(s.ID, s.Value, s.Incarnation, s.Health, s.Changed)
			c.digest += c.items[s.ID]
		case "event":
			c.apply(s)
		case "synced":
			state := service{items: map[string]uint64{}}
			for e := range events.all {
				if events.all[e].Service == s.Filter && events.all[e].Index <= s.Changed {
					state.apply(&events.all[e])
				}
			}
			r.Figures["copies_compared"]++
			if state.digest != c.digest || len(state.items) != len(c.items) {
				r.fail("copies_equal_events", s.At, "%s: synced at index %d with %d instances from replica %d, the events say %d", s.Reader,
					s.Changed, len(c.items), s.Replica, len(state.items))
			}
		}
	}
}
