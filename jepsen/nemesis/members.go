package nemesis

import (
	"fmt"
	"math/rand"
	"strings"
	"sync/atomic"
	"time"

	"muster/jepsen/cluster"
	"muster/jepsen/history"
)

// Membership changes. Each runs beside the other faults of its round and is repeated until
// it is done: a refusal to protect the majority is an answer, silence is not. Once everything else is
// healed it must be done within changeWithin.

func memberKinds() []kind {
	return []kind{
		{name: "members-grow", family: "members", begin: (*Nemesis).grow},
		{name: "members-shrink", family: "members", begin: (*Nemesis).shrink},
		{name: "members-replace", family: "members", begin: (*Nemesis).replace},
		{name: "members-move", family: "members", begin: (*Nemesis).move},
		{name: "members-move-all", family: "members", begin: (*Nemesis).moveAll},
		{name: "members-demote", family: "members", begin: (*Nemesis).demote},
		{name: "members-transfer", family: "members", begin: (*Nemesis).transfer},
	}
}

const (
	changeWithin = 45 * time.Second
	askAgain     = 200 * time.Millisecond
	// The server gives up after 2 s; a stopped one does not answer.
	answerWithin = 15 * time.Second
)

// change is one in progress. Its steps run in a goroutine, with their own random source.
type change struct {
	n        *Nemesis
	r        *rand.Rand
	done     chan struct{}
	err      error
	within   time.Duration // limit after the end of all other faults
	healedAt atomic.Int64  // end of all other faults, on the history's clock; 0: not yet
	said     []string
	answers  map[string]int // other than done
}

// beside starts a change. Only one runs at a time; no other fault holds `owned`.
func (n *Nemesis) beside(targets, owned []int, steps func(*change) error) *active {
	c := &change{n: n, r: rand.New(rand.NewSource(n.r.Int63())), done: make(chan struct{}), within: changeWithin,
		answers: map[string]int{}}
	n.changing = true
	go func() {
		defer close(c.done)
		c.err = steps(c)
	}()
	return &active{targets: targets, owned: owned, last: true, proof: "changes of the members that were done",
		felt: c.await, say: c.detail, heal: func() error { n.changing = false; return nil }}
}

func (c *change) say(format string, values ...interface{}) {
	c.said = append(c.said, fmt.Sprintf(format, values...))
}

// detail is called when it is over.
func (c *change) detail() string {
	text := strings.Join(c.said, ", ")
	for _, answer := range []string{"409", "503", "504", "404", "no answer"} {
		if count := c.answers[answer]; count > 0 {
			text += fmt.Sprintf("; %d times %s", count, answer)
		}
	}
	return text
}

// await is called when all other faults are over.
func (c *change) await() int64 {
	c.healedAt.CompareAndSwap(0, c.n.history.Now())
	<-c.done
	if c.err != nil {
		c.n.history.AddFinding("members_change_in_time", "%v; so far: %s", c.err, c.detail())
		return 0
	}
	return 1
}

func (c *change) isLate() bool {
	healed := c.healedAt.Load()
	return healed != 0 && c.n.history.Now()-healed > int64(c.within)
}

// until waits for a condition, or the limit.
func (c *change) until(what string, isSo func() bool) error {
	for !isSo() {
		if c.isLate() {
			return fmt.Errorf("not within %s of the end of all other faults: %s", c.within, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

// ask requests a change from any other member until one reports it done, and returns that one's number.
func (c *change) ask(but int, method, path string) (int, error) {
	done := 0
	err := c.until(method+" "+path, func() bool {
		others := without(c.n.cluster.Members(), []int{but})
		at := others[c.r.Intn(len(others))]
		began := time.Now()
		status, text, err := cluster.Change(c.n.cluster, at, method, path)
		switch {
		case err == nil && status == 200:
			done = at
			return true
		case err != nil && time.Since(began) > answerWithin && !stopped(c.n.cluster.Pid(at)):
			c.n.history.AddFinding("member_changes_are_answered", "%s %s at replica %d: %v", method, path, at, err)
		case err != nil:
			c.answers["no answer"]++
		case status == 409 || status == 503 || status == 504 || status == 404:
			c.answers[fmt.Sprint(status)]++
		default:
			c.n.history.AddFinding("member_changes_are_answered", "%s %s at replica %d: %d %s", method, path, at, status, text)
		}
		time.Sleep(askAgain)
		return false
	})
	return done, err
}

// spares are the machines that are not members, in random order.
func (n *Nemesis) spares() []int {
	all := []int{}
	for m := 1; m <= n.cluster.Size(); m++ {
		all = append(all, m)
	}
	all = without(all, n.cluster.Members())
	n.r.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	return all
}

// --- joining ---

// grow adds machines as members, up to the limit.
func (n *Nemesis) grow() (*active, error) {
	more, spares := n.base+cluster.Growth-len(n.cluster.Members()), n.spares()
	if n.changing || more <= 0 || len(spares) < more {
		return nil, errNoTarget
	}
	new := spares[:more]
	return n.beside(new, new, func(c *change) error {
		return each(new, func(machine int) error { return c.join(machine, 0) })
	}), nil
}

// join starts an empty machine as a member, and waits until it has a vote. Half of them are promoted by hand.
func (c *change) join(machine, id int) error {
	all := c.n.cluster
	if err := all.Join(machine, id); err != nil {
		return err
	}
	life := ""
	var failed error
	err := c.until(fmt.Sprintf("replica %d has joined", machine), func() bool {
		if status, ended := all.Ended(machine, 0); ended {
			failed = c.joinAgain(machine, id, status)
			return failed != nil
		}
		health, err := cluster.AskHealth(all, machine)
		if err != nil || health.Phase != "member" {
			return false
		}
		life = health.Life
		all.Learn(machine, health.ID)
		return true
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	all.Expect(machine, false)
	if c.r.Intn(2) == 0 {
		if _, err := c.ask(machine, "POST", fmt.Sprintf("members/%d/promote", all.ID(machine))); err != nil {
			return err
		}
	}
	c.say("replica %d is member %d, life %s", machine, all.ID(machine), life)
	return c.until(fmt.Sprintf("replica %d, member %d, has a vote", machine, all.ID(machine)), func() bool {
		_, votes := cluster.AskVote(all, machine)
		return votes
	})
}

// joinAgain retries, as the replaced member may still be believed to be running.
func (c *change) joinAgain(machine, id int, status string) error {
	if id == 0 || status != "exit status 1" || !strings.Contains(c.n.cluster.Logs()[machine], "and at work") {
		return fmt.Errorf("replica %d, joining as %d, ended: %s", machine, id, status)
	}
	c.answers["409"]++
	time.Sleep(askAgain)
	return c.n.cluster.UpInVain(machine)
}

// replace kills a member and empties its directory for good; an empty machine takes its place.
func (n *Nemesis) replace() (*active, error) {
	free, spares := n.free(), n.spares()
	if n.changing || len(free) == 0 || len(spares) == 0 {
		return nil, errNoTarget
	}
	gone, new := free[0], spares[0]
	return n.beside([]int{gone, new}, []int{gone, new}, func(c *change) error {
		id := n.cluster.ID(gone)
		if err := n.cluster.Kill(gone); err != nil {
			return err
		}
		if err := n.cluster.Leave(gone); err != nil {
			return err
		}
		return c.join(new, id)
	}), nil
}

// --- leaving ---

// shrink removes any members, until there are as many as at the beginning. Each must exit with status 3, and
// again when it is restarted with its directory, which is then emptied.
func (n *Nemesis) shrink() (*active, error) {
	free, less := n.free(), len(n.cluster.Members())-n.base
	if n.changing || less <= 0 || len(free) < less {
		return nil, errNoTarget
	}
	gone := free[:less]
	return n.beside(gone, gone, func(c *change) error { return each(gone, c.remove) }), nil
}

func (c *change) remove(machine int) error {
	all, life := c.n.cluster, ""
	err := c.until(fmt.Sprintf("the life of replica %d", machine), func() bool {
		health, err := cluster.AskHealth(all, machine)
		life = health.Life
		return err == nil
	})
	if err != nil {
		return err
	}
	id := all.ID(machine)
	all.Expect(machine, true)
	at, err := c.ask(machine, "DELETE", fmt.Sprintf("members/%d", id))
	if err != nil {
		return err
	}
	if told, err := cluster.AskRoster(all, at); err == nil {
		c.n.history.AddRemoval(history.Removal{Replica: machine, Member: id, Life: life, Term: told.Term, At: c.n.history.Now()})
	}
	c.say("replica %d, member %d, life %s, is taken out", machine, id, life)
	if err := c.endsRemoved(machine); err != nil {
		return err
	}
	if c.r.Intn(2) == 0 {
		if err := all.UpInVain(machine); err != nil {
			return err
		}
		if err := c.endsRemoved(machine); err != nil {
			return err
		}
	}
	return all.Leave(machine)
}

// endsRemoved waits until a removed member knows it.
func (c *change) endsRemoved(machine int) error {
	status := ""
	err := c.until(fmt.Sprintf("replica %d ends, as it was taken out", machine), func() bool {
		var ended bool
		status, ended = c.n.cluster.Ended(machine, 0)
		return ended
	})
	if err == nil && status != "exit status 3" {
		c.n.history.AddFinding("the_removed_end", "replica %d, taken out, ended: %s", machine, status)
	}
	return err
}

// --- other addresses ---

// move starts a member at another address, which all others must learn.
func (n *Nemesis) move() (*active, error) {
	free := n.free()
	if n.changing || len(free) == 0 {
		return nil, errNoTarget
	}
	target, halt := free[0], n.halt()
	return n.beside([]int{target}, []int{target}, func(c *change) error {
		if err := halt(target); err != nil {
			return err
		}
		c.say("replica %d is at %s", target, n.cluster.Move(target))
		if err := n.cluster.Up(target); err != nil {
			return err
		}
		return c.agree()
	}), nil
}

// moveAll starts all members at other addresses, with the new list.
func (n *Nemesis) moveAll() (*active, error) {
	free, halt := n.free(), n.halt()
	if n.changing || len(free) < len(n.cluster.Members()) {
		return nil, errNoTarget
	}
	return n.beside(free, free, func(c *change) error {
		if err := each(free, halt); err != nil {
			return err
		}
		n.cluster.MoveAll()
		if err := each(free, n.cluster.Up); err != nil {
			return err
		}
		return c.agree()
	}), nil
}

// halt is a way to end a process.
func (n *Nemesis) halt() func(int) error {
	if n.r.Intn(2) == 0 {
		return n.cluster.Kill
	}
	return func(target int) error {
		if err := n.cluster.Stop(target); err != nil {
			n.history.AddFinding("stops_in_time", "%v", err)
		}
		return nil
	}
}

// agree waits until all list the right members.
func (c *change) agree() error {
	wrong := ""
	err := c.until("all list the members as they are", func() bool {
		for _, machine := range c.n.cluster.Members() {
			if wrong = cluster.RosterFault(c.n.cluster, machine); wrong != "" {
				return false
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, wrong)
	}
	return nil
}

// --- votes and leaders ---

// demote removes a member's vote for a while.
func (n *Nemesis) demote() (*active, error) {
	free := n.free()
	if n.changing || len(free) == 0 {
		return nil, errNoTarget
	}
	target, hold := free[0], n.between(500*time.Millisecond, 5*time.Second)
	return n.beside([]int{target}, nil, func(c *change) error {
		id := n.cluster.ID(target)
		if _, err := c.ask(0, "POST", fmt.Sprintf("members/%d/demote", id)); err != nil {
			return err
		}
		c.say("replica %d, member %d, has no vote for %s", target, id, hold.Round(time.Millisecond))
		time.Sleep(hold)
		_, err := c.ask(0, "POST", fmt.Sprintf("members/%d/promote", id))
		return err
	}), nil
}

// transfer transfers leadership.
func (n *Nemesis) transfer() (*active, error) {
	free := n.free()
	if n.changing || len(free) == 0 {
		return nil, errNoTarget
	}
	target := free[0]
	return n.beside([]int{target}, nil, func(c *change) error {
		_, err := c.ask(0, "POST", fmt.Sprintf("transfer?to=%d", n.cluster.ID(target)))
		return err
	}), nil
}
