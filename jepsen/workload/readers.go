package workload

import (
	"fmt"
	"math/rand"
	"time"

	"muster/jepsen/history"
)

const (
	listClients  = 4
	pollClients  = 4
	listInterval = 25 * time.Millisecond
)

func (w *World) someService(r *rand.Rand) string {
	switch r.Intn(6) {
	case 0:
		return liveService
	case 1:
		return flapService
	case 2:
		return silentService
	case 3:
		return regService
	default:
		return ledgerService(r.Intn(ledgerServices))
	}
}

// startReaders starts lists at each consistency, and blocking queries. A reader is a session: with min_index
// it takes the highest index it has seen to the next replica.
func (w *World) startReaders(load Load) {
	for c := 0; c < listClients; c++ {
		name := fmt.Sprintf("list-%d", c)
		r := random(load.Seed, name)
		w.spawn(func() {
			var seen uint64
			for w.sleep(listInterval) {
				mode := []string{"stale", "linearizable", "min_index"}[r.Intn(3)]
				op := history.Op{MinIndex: seen}
				if mode != "min_index" {
					op.MinIndex = 0
				}
				op = w.list(name, w.anyReplica(r), w.someService(r), history.List, mode, op.MinIndex, 0)
				if op.Outcome == history.OK && !op.Foreign && op.Applied > seen {
					seen = op.Applied
				}
			}
		})
	}
	for c := 0; c < pollClients; c++ {
		name := fmt.Sprintf("poll-%d", c)
		service := []string{flapService, regService, silentService, liveService}[c%4]
		r := random(load.Seed, name)
		w.spawn(func() {
			var seen, index uint64
			for w.sleep(5 * time.Millisecond) {
				op := w.list(name, w.anyReplica(r), service, history.Poll, "min_index", seen, index)
				if op.Outcome != history.OK || op.Foreign {
					w.sleep(50 * time.Millisecond)
					continue
				}
				index = op.Index
				if op.Applied > seen {
					seen = op.Applied
				}
			}
		})
	}
}
