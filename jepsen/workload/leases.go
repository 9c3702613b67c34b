package workload

import (
	"encoding/json"
	"fmt"
	"time"

	"muster/jepsen/history"
)

// Leases: instances that live, that fall silent, and that flap.
const (
	liveCount   = 30
	liveTTL     = 3 * time.Second
	liveEvery   = 400 * time.Millisecond
	silentEvery = 700 * time.Millisecond
	flapCount   = 10
	flapTTL     = 2 * time.Second
	reapAfter   = 4.0
)

// keepAlive renews the live instances at every replica all the time, whatever the others do. Such an
// instance must never expire.
func (w *World) keepAlive() {
	ids := make([]string, liveCount)
	for i := range ids {
		ids[i] = fmt.Sprintf("live-%d", i)
		w.untilAcknowledged("live", "live", registration{ID: ids[i], Name: liveService, Port: 1 + i,
			TTL: liveTTL.Seconds(), ReapAfter: forGood})
	}
	for replica := 1; replica < len(w.URLs); replica++ {
		replica := replica
		w.spawn(func() {
			for !w.over() {
				began := time.Now()
				w.beatAll(fmt.Sprintf("keeper-%d", replica), replica, ids)
				if rest := liveEvery - time.Since(began); rest > 0 {
					w.sleep(rest)
				}
			}
		})
	}
}

func (w *World) startLeases(load Load) {
	w.spawn(func() { w.fallSilent(load) })
	for i := 0; i < flapCount; i++ {
		i := i
		w.spawn(func() { w.flap(load, i) })
	}
}

func (w *World) untilAcknowledged(client, set string, r registration) {
	for replica := 0; !w.over(); replica++ {
		if op := w.register(client, w.turn(replica), set, r); op.Outcome == history.OK {
			return
		}
		w.sleep(50 * time.Millisecond)
	}
}

// beatAll renews all live instances in one request, and records one operation for each.
func (w *World) beatAll(client string, replica int, ids []string) {
	op := history.Op{Client: client, Replica: replica, Kind: history.Heartbeat, Set: "live",
		TTLMs: int64(liveTTL / time.Millisecond)}
	got := w.do(&op, "POST", "/heartbeat", map[string][]string{"ids": ids}, writeWithin)
	var told struct {
		Unknown []string `json:"unknown"`
		Index   uint64   `json:"index"`
	}
	if op.Outcome == history.OK && op.Status == 200 {
		if json.Unmarshal(got.body, &told) != nil {
			return
		}
		op.Index = told.Index
	}
	missing := map[string]bool{}
	for _, id := range told.Unknown {
		missing[id] = true
	}
	for _, id := range ids {
		one := op
		one.Key = id
		if missing[id] {
			one.Status, one.Index = 404, 0
		}
		w.History.Add(one)
	}
}

// fallSilent registers instances one after the other, renews each a few times, then falls silent.
func (w *World) fallSilent(load Load) {
	r := random(load.Seed, "silent")
	for n := 0; w.sleep(silentEvery); n++ {
		n, beats := n, r.Intn(4)
		ttl := time.Duration(1+r.Intn(3)) * time.Second
		w.spawn(func() {
			id := fmt.Sprintf("silent-%d", n)
			w.untilAcknowledged("silent", "silent", registration{ID: id, Name: silentService, Port: 1 + n%65535,
				TTL: ttl.Seconds(), ReapAfter: reapAfter})
			for b := 0; b < beats && w.sleep(ttl/3); b++ {
				w.heartbeat("silent", w.turn(n+b), "silent", id, ttl)
			}
		})
	}
}

// flap renews at random moments, sometimes too late, and registers again if it is gone.
func (w *World) flap(load Load, i int) {
	client, id := fmt.Sprintf("flap-%d", i), fmt.Sprintf("flap-%d", i)
	r := random(load.Seed, client)
	content := registration{ID: id, Name: flapService, Port: 1, TTL: flapTTL.Seconds(), ReapAfter: reapAfter}
	w.untilAcknowledged(client, "flap", content)
	for replica := w.anyReplica(r); w.sleep(time.Duration(200+r.Intn(2600)) * time.Millisecond); {
		op := w.heartbeat(client, replica, "flap", id, flapTTL)
		if op.Outcome == history.OK && op.Status == 404 {
			content.Port++
			w.untilAcknowledged(client, "flap", content)
		} else if op.Outcome != history.OK || r.Intn(4) == 0 {
			replica = w.anyReplica(r)
		}
	}
}
