package cluster

import (
	"fmt"
	"strings"
	"time"
)

// Machines exist before they are members: one that is not is empty and stopped. A machine's member and
// peer address may change; its number and its HTTP address do not.

// secondAddress is added to a machine's number to make its other address.
const secondAddress = 100

// Size is the number of machines, members or not.
func (p *Processes) Size() int { return p.options.Replicas + p.options.Spares }

// Members are the machines that are members, or about to become members.
func (p *Processes) Members() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := []int{}
	for n := 1; n <= len(p.all); n++ {
		if p.all[n].member {
			found = append(found, n)
		}
	}
	return found
}

// ID of a machine's member; 0: none, or the cluster has not chosen it yet.
func (p *Processes) ID(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[n].id
}

// Peer is the address at which the other members reach a machine.
func (p *Processes) Peer(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peer(n)
}

// peer: each move changes either the host or the port.
func (p *Processes) peer(n int) string {
	moves, host := p.all[n].moves, n
	if (moves+1)/2%2 == 1 {
		host += secondAddress
	}
	return fmt.Sprintf("%s:%d", p.inside(host), 9100+moves/2)
}

// list is --cluster for the present members. The lock is held.
func (p *Processes) list() string {
	members := []string{}
	for n := 1; n <= p.Size(); n++ {
		if r := p.all[n]; r != nil && r.member {
			members = append(members, fmt.Sprintf("%d=%s", r.id, p.peer(n)))
		}
	}
	return strings.Join(members, ",")
}

// arguments of a machine's process. The lock is held.
func (p *Processes) arguments(n int) []string {
	r := p.all[n]
	all := []string{"--net=/var/run/netns/" + p.namespace(n)}
	if p.options.Descriptors != 0 {
		all = append(all, "prlimit", fmt.Sprintf("--nofile=%d:%d", p.options.Descriptors, p.options.Descriptors))
	}
	all = append(all, p.options.Musterd, "--data", p.DataDir(n),
		"--http", "0.0.0.0:9000", "--advertise-http", p.outside(n)+":9000", "--peer", p.peer(n), "--write-timeout", "2s", "--snapshot-log-bytes", "256KiB")
	if r.id != 0 {
		all = append(all, "--id", fmt.Sprint(r.id))
	}
	switch {
	case r.foreign: // formed with the first list
		all = append(all, "--cluster", p.first)
	case r.joins:
		all = append(all, "--join", p.others(n))
	default:
		all = append(all, "--cluster", r.list)
	}
	if r.joins || r.moves > 0 {
		all = append(all, "--advertise-peer", p.peer(n))
	}
	if p.options.Spares > 0 {
		// Joining members get votes, up to the largest size of the cluster.
		all = append(all, "--voters", fmt.Sprint(p.options.Replicas+Growth))
	}
	return all
}

// others are the URLs of all other members, on the wire between the replicas: cut links affect a joining
// machine, too, and this machine's firewall does not. The lock is held.
func (p *Processes) others(n int) string {
	urls := []string{}
	for m := 1; m <= p.Size(); m++ {
		if m != n && p.all[m].member {
			urls = append(urls, "http://"+p.inside(m)+":9000")
		}
	}
	return strings.Join(urls, ",")
}

// Join starts an empty machine as member `id`, or lets the cluster choose an id.
func (p *Processes) Join(n, id int) error {
	p.mu.Lock()
	r := p.all[n]
	r.member, r.joins, r.id = true, true, id
	p.mu.Unlock()
	return p.up(n, true)
}

// Learn records the id that the cluster has chosen.
func (p *Processes) Learn(n, id int) {
	p.mu.Lock()
	p.all[n].id = id
	p.mu.Unlock()
}

// Leave empties a stopped machine, which is no longer a member.
func (p *Processes) Leave(n int) error {
	p.mu.Lock()
	p.all[n].member, p.all[n].id = false, 0
	p.mu.Unlock()
	return p.Wipe(n)
}

// Move gives a machine another address, from its next start on.
func (p *Processes) Move(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[n].moves++
	return p.peer(n)
}

// MoveAll gives all members other addresses, and the new list.
func (p *Processes) MoveAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.all {
		if r.member {
			r.moves++
		}
	}
	for _, r := range p.all {
		if r.member {
			r.list, r.joins = p.list(), false
		}
	}
}

// Ended waits for a process to exit by itself, and returns how.
func (p *Processes) Ended(n int, within time.Duration) (string, bool) {
	p.mu.Lock()
	ended := p.all[n].ended
	p.mu.Unlock()
	if ended == nil {
		return "it was never started", true
	}
	select {
	case <-ended:
		return p.all[n].status, true
	case <-time.After(within):
		return "it runs", false
	}
}

// UpInVain starts a machine whose process must exit by itself.
func (p *Processes) UpInVain(n int) error { return p.up(n, true) }
