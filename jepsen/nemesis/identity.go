package nemesis

import (
	"fmt"
	"strings"
	"time"

	"muster/jepsen/cluster"
	"muster/jepsen/history"
)

func identityKinds() []kind {
	return []kind{
		{name: "damage", family: "damage", alone: true, begin: (*Nemesis).damage},
		{name: "empty", family: "empty", alone: true, begin: (*Nemesis).empty},
		{name: "fork", family: "fork", first: true, begin: (*Nemesis).fork},
	}
}

func without(all, some []int) []int {
	rest := []int{}
	for _, one := range all {
		found := false
		for _, other := range some {
			found = found || one == other
		}
		if !found {
			rest = append(rest, one)
		}
	}
	return rest
}

// empty empties directories of a minority while one replica after the other is killed or stopped and
// restarted, under load. Felt: each comes back as a new life, with a vote.
func (n *Nemesis) empty() (*active, error) {
	free := n.free()
	if len(free) < len(n.cluster.Members()) || cluster.AwaitLeader(n.cluster, 2*time.Second) == 0 {
		return nil, errNoTarget
	}
	targets := n.some(free)
	if len(targets) == 0 {
		return nil, errNoTarget
	}
	before := map[int]string{}
	for _, target := range targets {
		health, err := cluster.AskHealth(n.cluster, target)
		if err != nil {
			return nil, err
		}
		before[target] = health.Life
	}
	behind := n.minority()
	if err := n.forget(targets, without(free, targets), behind); err != nil {
		return nil, err
	}
	if err := n.rollEmptying(targets); err != nil {
		return nil, err
	}
	lives := int64(0)
	for _, target := range targets {
		if health, votes := cluster.AskVote(n.cluster, target); votes && health.Life != before[target] {
			lives++
		}
	}
	if lives < int64(len(targets)) {
		lives = 0
	}
	return &active{targets: targets, owned: targets, detail: fmt.Sprintf("with %d left behind, then rolling restarts", behind),
		proof: "other lives with a vote", felt: func() int64 { return lives }, heal: func() error { return nil }}, nil
}

// forget is the order in which a lost directory can lose a write: `behind` of the others are dead while a
// bare majority, including the targets, acknowledges; then the targets lose their directories, and meet
// those that never had the write. These are a minority, and none may be ready before the rest is back.
func (n *Nemesis) forget(targets, others []int, behind int) error {
	late, rest := others[:behind], others[behind:]
	if err := each(late, n.cluster.Kill); err != nil {
		return err
	}
	cluster.AwaitLeader(n.cluster, 5*time.Second)
	time.Sleep(n.between(300*time.Millisecond, 2*time.Second))
	if err := each(append(append([]int{}, rest...), targets...), n.cluster.Kill); err != nil {
		return err
	}
	if err := each(targets, n.cluster.Wipe); err != nil {
		return err
	}
	if err := each(append(append([]int{}, targets...), late...), n.cluster.Up); err != nil {
		return err
	}
	for until := time.Now().Add(n.between(1500*time.Millisecond, 4*time.Second)); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		for _, m := range n.cluster.Members() {
			if health, err := cluster.AskHealth(n.cluster, m); err == nil && health.Ready {
				n.history.AddFinding("the_emptied_wait", "replica %d is ready with %v emptied and only %v that still vote", m, targets, late)
			}
		}
	}
	if err := each(rest, n.cluster.Up); err != nil {
		return err
	}
	n.awaitAll("after directories were emptied")
	return nil
}

func (n *Nemesis) awaitAll(when string) {
	if slow := cluster.AwaitReady(n.cluster, serveWithin); slow != 0 {
		n.history.AddFinding("serves_after_healing", "replica %d is not ready, with a vote, %s %s", slow, serveWithin, when)
	}
}

// rollEmptying restarts one after the other, each by SIGTERM or kill -9; targets with empty directories.
func (n *Nemesis) rollEmptying(targets []int) error {
	for _, m := range n.shuffled() {
		if n.r.Intn(2) == 0 {
			if err := n.cluster.Kill(m); err != nil {
				return err
			}
		} else if err := n.cluster.Stop(m); err != nil {
			n.history.AddFinding("stops_in_time", "%v", err)
		}
		if len(without([]int{m}, targets)) == 0 {
			if err := n.cluster.Wipe(m); err != nil {
				return err
			}
		}
		if err := n.cluster.Up(m); err != nil {
			return err
		}
		n.awaitAll("after a restart")
	}
	return nil
}

// fork gives a minority the directories of another cluster, formed of the same list, and finally their
// own again, unchanged. Felt: each reports that it belongs to the other cluster, and links between
// the two clusters were refused.
func (n *Nemesis) fork() (*active, error) {
	free := n.free()
	able := []int{}
	for _, m := range free {
		if n.cluster.HasOther(m) {
			able = append(able, m)
		}
	}
	if len(free) < len(n.cluster.Members()) {
		return nil, errNoTarget
	}
	// A majority of the other cluster's founders would be a working cluster, however many members we have by now.
	if most := (n.base - 1) / 2; len(able) > most {
		able = able[:most]
	}
	targets, before := n.some(able), n.refusals()
	if len(targets) == 0 {
		return nil, errNoTarget
	}
	err := each(targets, func(target int) error {
		if err := n.cluster.Kill(target); err != nil {
			return err
		}
		n.history.AddAway(target, history.Foreign)
		if err := n.cluster.SwapIn(target); err != nil {
			return err
		}
		return n.cluster.Up(target)
	})
	return &active{targets: targets, owned: targets, hold: n.between(2*time.Second, 10*time.Second), patient: true,
		proof: "links refused between the clusters, as their logs say", felt: func() int64 {
			if !n.areForeign(targets) {
				return 0
			}
			return n.refusals() - before
		},
		heal: func() error {
			return each(targets, func(target int) error {
				if err := n.cluster.Kill(target); err != nil {
					return err
				}
				n.history.EndAway(target)
				if err := n.cluster.SwapOut(target); err != nil {
					return err
				}
				return n.cluster.Up(target)
			})
		}}, err
}

func (n *Nemesis) areForeign(targets []int) bool {
	for _, target := range targets {
		id, err := cluster.AskCluster(n.cluster, target)
		if err != nil || id != n.history.Run.Other {
			return false
		}
	}
	return true
}

// refusals counts the messages of consensus/peer/hello.c about a member of another cluster.
func (n *Nemesis) refusals() int64 {
	count := 0
	for _, log := range n.cluster.Logs() {
		count += strings.Count(log, "wrong cluster: ")
	}
	return int64(count)
}
