package nemesis

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// crowded is a server that allows `most` connections, counts them, and refuses requests on others.
func crowded(t *testing.T, most int64) (*answering, *atomic.Int64) {
	var open, begun atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/metrics":
			fmt.Fprintf(w, "# HELP x\nmuster_http_connections 1\nmuster_http_connections_max %d\n", most)
		case open.Load() > most:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error": "overloaded"}`)
		default:
			fmt.Fprint(w, "{}")
		}
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
			begun.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return &answering{links: links{size: 3}, url: server.URL}, &open
}

func TestACrowdTakesAllConnectionsSaysSoAndLeaves(t *testing.T) {
	for _, writes := range []bool{false, true} {
		a, open := crowded(t, 20)
		n, _ := answers(t, 3)
		n.cluster = a
		doing, err := n.descriptors(writes)
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); doing.felt() == 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("writes %t: nobody was refused; %d are open", writes, open.Load())
			}
		}
		if err := doing.heal(); err != nil {
			t.Error(err)
		}
		for deadline := time.Now().Add(20 * time.Second); open.Load() > 2; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("writes %t: %d connections are left", writes, open.Load())
			}
		}
	}
}

func TestAReplicaThatGivesTooManyConnectionsIsAnError(t *testing.T) {
	a, _ := crowded(t, crowdMax+1)
	n, _ := answers(t, 3)
	n.cluster = a
	if _, err := n.descriptors(false); err == nil || err == errNoTarget {
		t.Errorf("%v", err)
	}
}

func TestAFaultOfAllIsFeltByTheOneThatFeltItLeast(t *testing.T) {
	counts := make([]atomic.Int64, 3)
	for at := range counts {
		counts[at].Store(int64(7 - at))
	}
	if got := least(counts); got != 5 {
		t.Error(got)
	}
}
