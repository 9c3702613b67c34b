package nemesis

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"muster/jepsen/cluster"
)

func processKinds() []kind {
	kinds := []kind{}
	for _, who := range []string{"leader", "any", "majority", "all"} {
		who := who
		kinds = append(kinds, kind{name: "kill-" + who, family: "kill", begin: func(n *Nemesis) (*active, error) { return n.kill(who) }})
	}
	for _, who := range []string{"leader", "majority", "all"} {
		who := who
		kinds = append(kinds, kind{name: "pause-" + who, family: "pause", begin: func(n *Nemesis) (*active, error) { return n.pause(who) }})
	}
	return append(kinds,
		kind{name: "clock-jump", family: "clock", begin: (*Nemesis).clockJump},
		kind{name: "rolling-restart", family: "rolling", alone: true, begin: (*Nemesis).rolling})
}

// kill -9, and a restart after a while.
func (n *Nemesis) kill(who string) (*active, error) {
	targets, err := n.pick(who)
	if err != nil {
		return nil, err
	}
	died := int64(0)
	err = each(targets, func(target int) error {
		if err := n.cluster.Kill(target); err != nil {
			return err
		}
		if !n.cluster.Alive(target) {
			died++
		}
		return nil
	})
	return &active{targets: targets, owned: targets, hold: n.between(200*time.Millisecond, 4*time.Second),
		proof: "processes that died", felt: func() int64 { return died },
		heal: func() error { return each(targets, n.cluster.Up) }}, err
}

// stopped reports whether the process is stopped.
func stopped(pid int) bool { return threadState(fmt.Sprintf("/proc/%d/stat", pid)) == "T" }

func threadState(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	// The name, in parentheses, may contain anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) == 0 {
		return ""
	}
	return fields[0]
}

func waitsForDisk(pid int) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, task := range tasks {
		if threadState(task) == "D" {
			return true
		}
	}
	return false
}

func (n *Nemesis) pause(who string) (*active, error) {
	targets, err := n.pick(who)
	if err != nil {
		return nil, err
	}
	hold := n.between(100*time.Millisecond, 8*time.Second)
	if n.long && n.r.Intn(6) == 0 {
		hold = n.between(8*time.Second, 60*time.Second)
	}
	err = each(targets, n.cluster.Pause)
	return &active{targets: targets, owned: targets, hold: hold, detail: hold.Round(time.Millisecond).String(),
		proof: "processes in state T", felt: func() int64 {
			held := int64(0)
			for _, target := range targets {
				if stopped(n.cluster.Pid(target)) {
					held++
				}
			}
			return held
		},
		heal: func() error { return each(targets, n.cluster.Resume) }}, err
}

// clockJump moves the wall clocks of some replicas, each by a different amount, and back.
func (n *Nemesis) clockJump() (*active, error) {
	targets := n.free()
	if len(targets) == 0 {
		return nil, errNoTarget
	}
	targets = targets[:1+n.r.Intn(len(targets))]
	offsets := map[int]time.Duration{}
	for _, target := range targets {
		offset := time.Duration(10+n.r.Intn(7200)) * time.Second
		if n.r.Intn(2) == 0 {
			offset = -offset
		}
		offsets[target] = offset
		if err := n.cluster.SetClock(target, offset); err != nil {
			return nil, err
		}
	}
	// Paused or dead replicas report no date.
	return &active{targets: targets, detail: fmt.Sprint(offsets), hold: n.between(3*time.Second, 6*time.Second), patient: true,
		proof: "replicas whose answers bear the other date", felt: func() int64 {
			moved := int64(0)
			for target, offset := range offsets {
				health, err := cluster.AskHealth(n.cluster, target)
				// The date is whole seconds.
				if err == nil && (time.Until(health.Date)-offset).Abs() < 5*time.Second {
					moved++
				}
			}
			return moved
		},
		heal: func() error {
			return each(targets, func(target int) error { return n.cluster.SetClock(target, 0) })
		}}, nil
}

// rolling stops one replica after the other with SIGTERM and restarts it, like an upgrade.
func (n *Nemesis) rolling() (*active, error) {
	targets, err := n.pick("all")
	if err != nil {
		return nil, err
	}
	done := int64(0)
	for _, target := range targets {
		if err := n.cluster.Stop(target); err != nil {
			n.history.AddFinding("stops_in_time", "%v", err)
		}
		if err := n.cluster.Up(target); err != nil {
			return nil, err
		}
		if slow := cluster.AwaitReady(n.cluster, serveWithin); slow != 0 {
			n.history.AddFinding("serves_after_healing", "replica %d is not ready %s after a restart", slow, serveWithin)
		}
		done++
	}
	return &active{targets: targets, owned: targets, proof: "replicas restarted", felt: func() int64 { return done },
		heal: func() error { return nil }}, nil
}
