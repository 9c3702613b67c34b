package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"muster/jepsen/history"
)

// Services of the sets.
const (
	ledgerServices = 64
	liveService    = "live"
	silentService  = "silent"
	flapService    = "flap"
	regService     = "reg"
)

// Load is the amount of each kind of load.
type Load struct {
	Seed    int64
	Length  time.Duration
	Streams bool         // the server has event streams
	Members func() []int // nil: all replicas are members, always
}

// Clients are all clients of a run, in three groups that end one after the other.
type Clients struct{ events, keepers, others *World }

// Start begins the readers of events first, so that they miss nothing, then everything else.
func Start(urls []string, h *history.History, load Load) *Clients {
	group := func() *World {
		w := &World{URLs: append([]string{""}, urls...), Members: load.Members, History: h, http: newHTTP()}
		w.stop, w.end = context.WithCancel(context.Background())
		return w
	}
	c := &Clients{events: group(), keepers: group(), others: group()}
	c.events.startReadersOfEvents(load)
	time.Sleep(300 * time.Millisecond)
	c.keepers.keepAlive()
	c.others.startRegisters(load)
	c.others.startLedger(load)
	c.others.startLeases(load)
	c.others.startReaders(load)
	return c
}

func (w *World) finish() {
	w.end()
	w.wg.Wait()
	w.http.CloseIdleConnections()
}

// StopWriting ends all but the renewals of live instances and the readers of events.
func (c *Clients) StopWriting() { c.others.finish() }

// Stop ends the readers of events, and then the renewals: nobody sees what expires now.
func (c *Clients) Stop() {
	c.events.finish()
	c.keepers.finish()
}

// Service of an instance, by its id.
func ledgerService(n int) string { return fmt.Sprintf("ledger-%d", n%ledgerServices) }

// Listing reads all instances of a replica, linearizably.
func Listing(url string, replica int, h *history.History) ([]history.Item, error) {
	w := &World{URLs: make([]string, replica+1), History: h, http: newHTTP(), stop: context.Background()}
	w.URLs[replica] = url
	items, after := []history.Item{}, ""
	for {
		got, err := w.request(replica, "GET", "/instances?limit=5000&consistency=linearizable"+after, nil, 20*time.Second)
		if err != nil {
			return nil, err
		}
		if got.status != 200 {
			return nil, fmt.Errorf("listing of replica %d: %d %s", replica, got.status, got.body)
		}
		var page listing
		if err := json.Unmarshal(got.body, &page); err != nil {
			return nil, err
		}
		for _, i := range page.Instances {
			items = append(items, history.Item{Replica: replica, ID: i.ID, Value: i.Port,
				Incarnation: i.Incarnation, Health: i.Health})
		}
		if len(page.Instances) < 5000 {
			return items, nil
		}
		after = "&after=" + page.Instances[len(page.Instances)-1].ID
	}
}

// Silent counts the silent instances that a replica still has.
func Silent(url string, replica int, h *history.History) (int, error) {
	w := &World{URLs: make([]string, replica+1), History: h, http: newHTTP(), stop: context.Background()}
	w.URLs[replica] = url
	got, err := w.request(replica, "GET", "/services/"+silentService+"?health=any", nil, 5*time.Second)
	if err != nil {
		return 0, err
	}
	var told listing
	if err := json.Unmarshal(got.body, &told); err != nil {
		return 0, err
	}
	return len(told.Instances), nil
}
