package nemesis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"muster/jepsen/cluster"
)

func diskKinds() []kind {
	return []kind{
		{name: "disk-full-any", family: "disk-full", first: true, begin: func(n *Nemesis) (*active, error) { return n.diskFull("any") }},
		{name: "disk-full-majority", family: "disk-full", first: true, begin: func(n *Nemesis) (*active, error) { return n.diskFull("majority") }},
		{name: "io-error", family: "io-error", begin: (*Nemesis).ioError},
		{name: "power-any", family: "power", begin: func(n *Nemesis) (*active, error) { return n.powerLoss("any") }},
		{name: "power-all", family: "power", begin: func(n *Nemesis) (*active, error) { return n.powerLoss("all") }},
		{name: "disk-stuck-leader", family: "disk-stuck", begin: func(n *Nemesis) (*active, error) { return n.stuck("leader") }},
		{name: "disk-stuck-any", family: "disk-stuck", begin: func(n *Nemesis) (*active, error) { return n.stuck("any") }},
	}
}

// full counts replicas that report a full disk.
func (n *Nemesis) full(targets []int) int64 {
	count := int64(0)
	for _, target := range targets {
		if health, err := cluster.AskHealth(n.cluster, target); err == nil && !health.Disk.HasSpace {
			count++
		}
	}
	return count
}

const (
	fullWithin = 20 * time.Second
	bulkTags   = 60 // of 500 bytes: near the largest allowed registration
	// Concurrently, and one after the other.
	bulkWriters = 8
	bulkTurns   = 12
)

// diskFull fills the disk. The log has preallocated some megabytes, so large writes use these up first.
func (n *Nemesis) diskFull(who string) (*active, error) {
	targets, err := n.pick(who)
	if err != nil {
		return nil, err
	}
	heal := func() error {
		return each(targets, func(target int) error { return n.cluster.Disk(target).Clear() })
	}
	if err := each(targets, func(target int) error { return n.cluster.Disk(target).Fill() }); err != nil {
		return &active{heal: heal}, err
	}
	felt := int64(0)
	for deadline, round := time.Now().Add(fullWithin), 0; felt == 0 && time.Now().Before(deadline); round++ {
		n.writeBulk(round)
		// A snapshot frees the space of what it replaces.
		if err := each(targets, func(target int) error { return n.cluster.Disk(target).Fill() }); err != nil {
			return &active{heal: heal}, err
		}
		felt = n.full(targets)
		// Without a leader nothing is written or fills up: another time.
		if felt == 0 && cluster.AwaitLeader(n.cluster, time.Second) == 0 {
			_ = heal()
			return nil, errNoTarget
		}
	}
	return &active{targets: targets, owned: targets, hold: n.between(time.Second, 5*time.Second),
		proof: "replicas that say they have no room", felt: func() int64 { return felt + n.full(targets) }, heal: heal}, nil
}

// writeBulk replaces large registrations by others, at all replicas at the same time.
func (n *Nemesis) writeBulk(round int) {
	metadata := map[string]string{}
	for tag := 0; tag < bulkTags; tag++ {
		metadata[fmt.Sprintf("bulk-%d", tag)] = strings.Repeat("x", 500)
	}
	members := n.cluster.Members()
	var all sync.WaitGroup
	for writer := 0; writer < bulkWriters; writer++ {
		writer := writer
		all.Add(1)
		go func() {
			defer all.Done()
			for turn := 0; turn < bulkTurns; turn++ {
				body, _ := json.Marshal(map[string]interface{}{"id": fmt.Sprintf("bulk-%d", writer), "name": "bulk",
					"host": "10.0.0.1", "port": 1 + (round*bulkTurns+turn)%60000, "ttl": 3600, "metadata": metadata})
				answer, err := bulkClient.Post(n.cluster.URL(members[writer%len(members)])+"/register", "application/json",
					bytes.NewReader(body))
				if err == nil {
					answer.Body.Close()
				}
			}
		}()
	}
	all.Wait()
}

var bulkClient = &http.Client{Timeout: time.Second, Transport: &http.Transport{}} // no proxy

// ioError: from some moment on every access fails. The process must exit with status 70.
func (n *Nemesis) ioError() (*active, error) {
	targets, err := n.pick("any")
	if err != nil {
		return nil, err
	}
	target := targets[0]
	n.cluster.Expect(target, true)
	err = n.cluster.Disk(target).CutPower()
	// Without a majority there is nothing to write: other faults end first.
	return &active{targets: targets, owned: targets, hold: n.between(2*time.Second, 5*time.Second), patient: true,
		proof: "processes that ended themselves", felt: func() int64 {
			for try := 0; try < 30; try++ {
				if !n.cluster.Alive(target) {
					return 1
				}
				time.Sleep(100 * time.Millisecond)
			}
			return 0
		},
		heal: func() error { return n.powerUp(targets) }}, err
}

func (n *Nemesis) powerUp(targets []int) error {
	for _, target := range targets {
		if err := n.cluster.Kill(target); err != nil {
			return err
		}
		if err := n.cluster.Disk(target).Unmount(); err != nil {
			return err
		}
		if err := n.cluster.Disk(target).Mount(); err != nil {
			return err
		}
	}
	return each(targets, n.cluster.Up)
}

// powerLoss cuts power from disks and processes at the same moment: unsynced data is lost.
func (n *Nemesis) powerLoss(who string) (*active, error) {
	targets, err := n.pick(who)
	if err != nil {
		return nil, err
	}
	lost := int64(0)
	for _, target := range targets {
		n.cluster.Expect(target, true)
	}
	err = each(targets, func(target int) error {
		if err := n.cluster.Disk(target).CutPower(); err != nil {
			return err
		}
		lost++
		return nil
	})
	if err == nil {
		err = each(targets, n.cluster.Kill)
	}
	return &active{targets: targets, owned: targets, hold: n.between(200*time.Millisecond, 3*time.Second),
		proof: "disks that lost power", felt: func() int64 { return lost },
		heal: func() error { return n.powerUp(targets) }}, err
}

// Limit on how much longer a stuck disk stays stuck if it has had no effect.
const stuckPatience = 20 * time.Second

// stuck: the disk blocks for a while, and then until somebody has waited for it.
func (n *Nemesis) stuck(who string) (*active, error) {
	targets, err := n.pick(who)
	if err != nil {
		return nil, err
	}
	disk, hold := n.cluster.Disk(targets[0]), n.between(500*time.Millisecond, 6*time.Second)
	if err := disk.Freeze(); err != nil {
		return nil, err
	}
	var waited atomic.Int64
	healed, thawed := make(chan struct{}), make(chan error, 1)
	isOver := func(until time.Time) bool {
		select {
		case <-healed:
			return true
		default:
		}
		// A member without a majority writes nothing and waits for nothing: other faults end first.
		now := time.Now()
		return now.After(until) && (waited.Load() > 0 || now.After(until.Add(stuckPatience)))
	}
	go func() {
		for until := time.Now().Add(hold); !isOver(until); time.Sleep(20 * time.Millisecond) {
			if waitsForDisk(n.cluster.Pid(targets[0])) {
				waited.Add(1)
			}
		}
		thawed <- disk.Thaw()
	}()
	return &active{targets: targets, owned: targets, hold: hold, detail: hold.Round(time.Millisecond).String(), patient: true,
		proof: "times that a thread was seen waiting for the disk", felt: waited.Load,
		heal: func() error {
			close(healed)
			return <-thawed
		}}, nil
}
