package nemesis

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Behaviour of clients and log readers that must not harm a replica.
func outsideKinds() []kind {
	return []kind{
		{name: "stuck-log-any", family: "stuck-log", begin: func(n *Nemesis) (*active, error) { return n.stuckLog("any") }},
		{name: "stuck-log-all", family: "stuck-log", begin: func(n *Nemesis) (*active, error) { return n.stuckLog("all") }},
		{name: "descriptors-idle", family: "descriptors", begin: func(n *Nemesis) (*active, error) { return n.descriptors(false) }},
		{name: "descriptors-writers", family: "descriptors", begin: func(n *Nemesis) (*active, error) { return n.descriptors(true) }},
	}
}

// stuckLog: the readers of stderr are stuck. Sometimes one of the replicas is told to stop meanwhile.
func (n *Nemesis) stuckLog(who string) (*active, error) {
	targets, err := n.pick(who)
	if err != nil {
		return nil, err
	}
	stopOne, hold := n.r.Intn(3) == 0, n.between(time.Second, 8*time.Second)
	free := func() error {
		return each(targets, func(target int) error { return n.cluster.StickLog(target, false) })
	}
	if err := each(targets, func(target int) error { return n.cluster.StickLog(target, true) }); err != nil {
		return &active{heal: free}, err
	}
	waiting := make([]atomic.Int64, len(targets))
	ended, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			for at, target := range targets {
				_ = n.cluster.Hangup(target)
				if n.cluster.WaitsForLog(target) {
					waiting[at].Add(1)
				}
			}
			select {
			case <-ended:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return &active{targets: targets, owned: targets, hold: hold, patient: true, detail: fmt.Sprintf("told to stop: %t", stopOne),
		proof: "times that a thread of each was seen waiting for stderr", felt: func() int64 { return least(waiting) },
		heal: func() error {
			close(ended)
			<-over
			if stopOne {
				if err := n.cluster.Stop(targets[0]); err != nil {
					n.history.AddFinding("stops_in_time", "its log stuck: %v", err)
				}
			}
			err := free()
			if stopOne && err == nil {
				err = n.cluster.Up(targets[0])
			}
			return err
		}}, nil
}

func least(counts []atomic.Int64) int64 {
	found := counts[0].Load()
	for at := range counts {
		if count := counts[at].Load(); count < found {
			found = count
		}
	}
	return found
}

const (
	// DescriptorsOfReplica has room for the clients of a run, and is soon exhausted.
	DescriptorsOfReplica = 512
	// More than a replica allows, so that some are refused.
	crowdBeyond = 50
	crowdMax    = 2000
	crowdDials  = 500 * time.Millisecond
)

// crowd holds connections to one replica, and reopens closed ones.
type crowd struct {
	url, address string
	writes       bool
	over         chan struct{}
	wg           sync.WaitGroup
	refused      atomic.Int64 // our requests refused for too many connections
}

// descriptors: clients take all connections that a replica allows, and hold on to them: silent ones,
// or ones that write.
func (n *Nemesis) descriptors(writes bool) (*active, error) {
	targets, err := n.pick("any")
	if err != nil {
		return nil, err
	}
	url := n.cluster.URL(targets[0])
	most, err := connectionsMax(url)
	if err != nil {
		return nil, errNoTarget // it has no free connection, or does not answer now
	}
	if most > crowdMax {
		return nil, fmt.Errorf("replica %d gives %d connections; that is too many to take", targets[0], most)
	}
	c := &crowd{url: url, address: strings.TrimPrefix(url, "http://"), writes: writes, over: make(chan struct{})}
	for at := 0; at < most+crowdBeyond; at++ {
		r := rand.New(rand.NewSource(n.r.Int63()))
		c.spawn(func() { c.hold(r) })
	}
	c.spawn(c.knock)
	return &active{targets: targets, owned: targets, hold: n.between(time.Second, 8*time.Second), patient: true,
		detail: fmt.Sprintf("%d connections", most+crowdBeyond), proof: "requests and connections refused, as there were too many", felt: c.refused.Load,
		heal: func() error {
			close(c.over)
			c.wg.Wait()
			return nil
		}}, nil
}

// connectionsMax is a replica's limit on client connections.
func connectionsMax(url string) (int, error) {
	answer, err := bulkClient.Get(url + "/metrics")
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if value, found := strings.CutPrefix(line, "muster_http_connections_max "); found {
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, fmt.Errorf("no muster_http_connections_max at %s", url)
}

func (c *crowd) spawn(what func()) {
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		what()
	}()
}

func (c *crowd) sleep(d time.Duration) bool {
	select {
	case <-c.over:
		return false
	case <-time.After(d):
		return true
	}
}

// hold keeps one connection.
func (c *crowd) hold(r *rand.Rand) {
	for c.sleep(time.Duration(20+r.Intn(100)) * time.Millisecond) {
		connection, err := net.DialTimeout("tcp", c.address, crowdDials)
		if err != nil {
			continue
		}
		gone := make(chan struct{})
		go func() { // ends with the crowd
			select {
			case <-c.over:
			case <-gone:
			}
			connection.Close()
		}()
		if c.writes {
			c.write(connection, r)
		} else {
			_, _ = connection.Read(make([]byte, 1)) // until it is closed
		}
		close(gone)
	}
}

// write registers the same few instances again and again.
func (c *crowd) write(connection net.Conn, r *rand.Rand) {
	answers := bufio.NewReader(connection)
	for {
		body := fmt.Sprintf(`{"id": "crowd-%d", "name": "crowd", "host": "10.0.0.1", "port": %d, "ttl": 3600}`, r.Intn(8), 1+r.Intn(60000))
		if _, err := fmt.Fprintf(connection, "POST /register HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			c.address, len(body), body); err != nil {
			return
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil || c.isRefused(answer) || !c.sleep(time.Duration(1000+r.Intn(2000))*time.Millisecond) {
			return
		}
	}
}

// isRefused reads an answer to its end, and counts it if it reports too many connections.
func (c *crowd) isRefused(answer *http.Response) bool {
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	if answer.StatusCode == http.StatusServiceUnavailable && bytes.Contains(text, []byte(`"overloaded"`)) {
		c.refused.Add(1)
		return true
	}
	return err != nil
}

// knock tries one connection after the other for a free one. A close without an answer counts as refused,
// too: the crowd has taken the few places that are kept for refusals.
func (c *crowd) knock() {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for c.sleep(100 * time.Millisecond) {
		answer, err := client.Get(c.url + "/services")
		if err == nil {
			c.isRefused(answer)
		} else if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			c.refused.Add(1)
		}
	}
}
