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

// Load says how much of what.
type Load struct {
	Seed    int64
	Length  time.Duration
	Streams bool // the server has event streams
}

// Start begins the readers of events first, so that they miss nothing, then everything else. The
// function it returns ends all and waits for them.
func Start(urls []string, h *history.History, load Load) (*World, func()) {
	stop, cancel := context.WithCancel(context.Background())
	w := &World{URLs: append([]string{""}, urls...), History: h, http: newHTTP(), stop: stop}
	w.startReadersOfEvents(load)
	w.sleep(300 * time.Millisecond)
	w.startRegisters(load)
	w.startLedger(load)
	w.startLeases(load)
	w.startReaders(load)
	return w, func() {
		cancel()
		w.wg.Wait()
		w.http.CloseIdleConnections()
	}
}

// Service of an instance, by its id.
func ledgerService(n int) string { return fmt.Sprintf("ledger-%d", n%ledgerServices) }

// Listing reads everything that a replica has, after a leader proof.
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
