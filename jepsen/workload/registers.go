package workload

import (
	"fmt"
	"math/rand"
	"sync"
	"time"

	"muster/jepsen/history"
)

// The register set: a few ids that several clients write and read concurrently. Each id is
// used only for a while, so that its history stays short enough for the linearizability search.
const (
	registerSlots   = 4
	registerClients = 10
	opsPerKey       = 60
	unknownPerKey   = 4
	forGood         = 24 * 3600.0 // ttl: these never expire
)

type registerSlot struct {
	mu           sync.Mutex
	generation   int
	ops, unknown int
	value        int
	incarnations []uint64
}

func (s *registerSlot) take(slot int) (key string, value int, known uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ops >= opsPerKey || s.unknown >= unknownPerKey {
		s.generation, s.ops, s.unknown, s.value, s.incarnations = s.generation+1, 0, 0, 0, nil
	}
	s.ops++
	s.value++
	if n := len(s.incarnations); n > 0 {
		known = s.incarnations[n-1-rand.Intn(minInt(n, 3))]
	}
	return fmt.Sprintf("reg-%d-%d", slot, s.generation), s.value, known
}

func (s *registerSlot) learn(slot int, op history.Op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op.Key != fmt.Sprintf("reg-%d-%d", slot, s.generation) {
		return
	}
	if op.Outcome == history.Unknown && op.Kind != history.Get {
		s.unknown++
	}
	if op.Incarnation != 0 && (len(s.incarnations) == 0 || s.incarnations[len(s.incarnations)-1] != op.Incarnation) {
		s.incarnations = append(s.incarnations, op.Incarnation)
	}
}

func minInt(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func (w *World) startRegisters(load Load) {
	slots := make([]*registerSlot, registerSlots)
	for i := range slots {
		slots[i] = &registerSlot{}
	}
	for c := 0; c < registerClients; c++ {
		name := fmt.Sprintf("register-%d", c)
		r := random(load.Seed, name)
		w.spawn(func() {
			for !w.over() {
				slot := r.Intn(registerSlots)
				op := w.useRegister(name, r, slot, slots[slot])
				slots[slot].learn(slot, op)
				pause := 10 * time.Millisecond
				if op.Outcome != history.OK {
					pause = 50 * time.Millisecond
				}
				w.sleep(pause)
			}
		})
	}
}

func (w *World) useRegister(name string, r *rand.Rand, slot int, s *registerSlot) history.Op {
	key, value, known := s.take(slot)
	replica := w.anyReplica(r)
	content := registration{ID: key, Name: regService, Port: value, TTL: forGood}
	switch n := r.Intn(100); {
	case n < 30:
		return w.register(name, replica, "reg", content)
	case n < 40:
		content.Incarnation = known
		return w.register(name, replica, "reg", content)
	case n < 50:
		return w.heartbeat(name, replica, "reg", key, forGood*time.Second)
	case n < 60:
		return w.deregister(name, replica, "reg", key, 0)
	case n < 68:
		return w.deregister(name, replica, "reg", key, known)
	default:
		return w.get(name, replica, "reg", key, "linearizable", 0)
	}
}

// The ledger: each id is written once and never removed, so at the end every acknowledged one
// must be there, and no refused one.
const (
	ledgerClients   = 8
	ledgerMax       = 60000
	ledgerPerSecond = 350
)

func (w *World) startLedger(load Load) {
	perSecond := float64(ledgerPerSecond)
	if most := ledgerMax / load.Length.Seconds(); most < perSecond {
		perSecond = most
	}
	every := time.Duration(float64(ledgerClients) / perSecond * float64(time.Second))
	for c := 0; c < ledgerClients; c++ {
		c, name := c, fmt.Sprintf("ledger-%d", c)
		r := random(load.Seed, name)
		w.spawn(func() {
			for n := 0; !w.over(); n++ {
				began := time.Now()
				w.useLedger(name, r, fmt.Sprintf("led-%d-%d", c, n), c*7919+n)
				if rest := every - time.Since(began); rest > 0 {
					w.sleep(rest)
				}
			}
		})
	}
}

// useLedger writes one and reads it back at another replica, like a session.
func (w *World) useLedger(name string, r *rand.Rand, id string, n int) {
	op := w.register(name, w.anyReplica(r), "ledger", registration{ID: id, Name: ledgerService(n),
		Port: 1 + n%65535, TTL: forGood})
	if op.Outcome == history.OK && r.Intn(4) == 0 {
		w.get(name, w.anyReplica(r), "ledger", id, "min_index", op.Index)
	}
}
