package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"muster/jepsen/history"
)

// Another cluster is formed of the same list before this one, makes writes of its own, and is
// stopped. Its directories are kept beside those in use.
const (
	otherWrites  = 1500
	otherClients = 12
	equalWithin  = 10 * time.Second
)

// otherServices are those of this cluster's clients, so that a mix-up shows in their listings.
var otherServices = []string{"fork", "reg", "live", "flap", "silent", "ledger-0", "ledger-1"}

func (p *Processes) formOther() error {
	if err := p.upAll(); err != nil {
		return err
	}
	if err := p.writeOther(); err != nil {
		return err
	}
	if err := p.awaitEqual(); err != nil {
		return err
	}
	// With the next write each records that the earlier ones are committed, and shows them after a restart.
	if err := p.registerOther(otherWrites, "last"); err != nil {
		return err
	}
	if err := p.awaitEqual(); err != nil {
		return err
	}
	run := &p.options.History.Run
	var err error
	if run.Other, err = AskCluster(p, 1); err != nil {
		return err
	}
	run.OtherWrites = otherWrites
	for _, n := range p.Members() {
		if err := p.Stop(n); err != nil {
			return err
		}
		if err := os.Rename(p.dir(n, "data"), p.dir(n, "other")); err != nil {
			return err
		}
	}
	return nil
}

// writeOther repeats each write until it is acknowledged.
func (p *Processes) writeOther() error {
	var all sync.WaitGroup
	failed := make(chan error, otherClients)
	for c := 0; c < otherClients; c++ {
		c := c
		all.Add(1)
		go func() {
			defer all.Done()
			for k := c; k < otherWrites; k += otherClients {
				if err := p.registerOther(k, otherServices[k%len(otherServices)]); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

func (p *Processes) registerOther(k int, service string) error {
	body, err := json.Marshal(map[string]interface{}{"id": fmt.Sprintf("%s%d", history.ForeignPrefix, k),
		"name": service, "host": "10.0.0.2", "port": 1 + k, "ttl": 24 * 3600})
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 5 * time.Second}
	answer, err := client.Post(p.URL(1+k%p.options.Replicas)+"/register", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != 201 {
		return fmt.Errorf("registration %d: status %d", k, answer.StatusCode)
	}
	return nil
}

// awaitEqual waits until all have applied the same.
func (p *Processes) awaitEqual() error {
	for deadline := time.Now().Add(equalWithin); ; time.Sleep(100 * time.Millisecond) {
		hashes := map[string]bool{}
		for _, n := range p.Members() {
			health, err := AskHealth(p, n)
			if err != nil {
				return err
			}
			hashes[health.State.Hash] = true
		}
		if len(hashes) == 1 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no equal state within %s", equalWithin)
		}
	}
}

// SwapIn gives a stopped replica the other cluster's directory.
func (p *Processes) SwapIn(n int) error {
	return p.exchange(n, "own", "other", true)
}

// SwapOut restores its own, unchanged.
func (p *Processes) SwapOut(n int) error {
	return p.exchange(n, "other", "own", false)
}

// HasOther reports whether the other cluster's directory belongs to this machine's member.
func (p *Processes) HasOther(n int) bool {
	_, err := os.Stat(p.dir(n, "other"))
	return err == nil && p.ID(n) == n
}

func (p *Processes) exchange(n int, keepAs, use string, foreign bool) error {
	if err := os.Rename(p.DataDir(n), p.dir(n, keepAs)); err != nil {
		return err
	}
	if err := os.Rename(p.dir(n, use), p.DataDir(n)); err != nil {
		return err
	}
	p.mu.Lock()
	p.all[n].foreign = foreign
	p.mu.Unlock()
	return p.Sync(n)
}

// Sees counts the instances of each cluster that a replica shows. False if it did not answer, or changed
// clusters meanwhile.
func Sees(c Cluster, n int, h *history.History) (history.Sight, bool) {
	sight := history.Sight{Replica: n}
	var err error
	if sight.Cluster, err = AskCluster(c, n); err != nil {
		return sight, false
	}
	for _, service := range otherServices {
		var told struct {
			Instances []struct {
				ID string `json:"id"`
			} `json:"instances"`
		}
		if _, err := ask(c, n, "/services/"+service+"?health=any&consistency=stale", &told); err != nil {
			return sight, false
		}
		for _, one := range told.Instances {
			sight.Count(one.ID)
		}
	}
	health, err := AskHealth(c, n)
	if err != nil {
		return sight, false
	}
	sight.Ready = health.Ready
	again, err := AskCluster(c, n)
	sight.At = h.Now()
	return sight, err == nil && again == sight.Cluster
}
