// Package workload has the clients that use the cluster during the faults: every request and its outcome
// goes into the history.
package workload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"muster/jepsen/history"
)

const (
	answerMax     = 64 << 20
	writeWithin   = 4 * time.Second // the server's own limit is 2 s; then it answers 504 or 503
	readWithin    = 4 * time.Second
	pollWaits     = 2 * time.Second
	dialWithin    = 500 * time.Millisecond
	idlePerServer = 64
)

// World is shared by all clients.
type World struct {
	URLs    []string     // by replica, from 1; [0] is not used
	Members func() []int // the replicas that are members now; nil: all
	History *history.History
	http    *http.Client
	stop    context.Context
	end     context.CancelFunc
	wg      sync.WaitGroup
}

type instance struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Port        int    `json:"port"`
	Health      string `json:"health"`
	Incarnation uint64 `json:"incarnation"`
	Index       uint64 `json:"index"`
}

type answer struct {
	status  int
	applied uint64
	body    []byte
}

func newHTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialWithin}).DialContext,
		MaxIdleConnsPerHost: idlePerServer, DisableCompression: true,
		IdleConnTimeout: 20 * time.Second}}
}

// request sends a request. An error while dialling means that nothing was sent.
func (w *World) request(replica int, method, path string, body interface{}, within time.Duration) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, w.URLs[replica]+path, content)
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	got, err := w.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, answerMax))
	if err != nil {
		return answer{}, err
	}
	applied, _ := strconv.ParseUint(got.Header.Get("X-Muster-Applied-Index"), 10, 64)
	return answer{status: got.StatusCode, applied: applied, body: text}, nil
}

// isForeign reports whether the replica has, or has had since `turns`, the directory of another
// cluster. Clients that follow GET /health/ready never use such a replica.
func (w *World) isForeign(replica, turns int) bool {
	return turns%2 == 1 || w.History.ForeignTurns(replica) != turns
}

// outcomeOf classifies the result for the client.
func outcomeOf(got answer, err error) history.Outcome {
	var dial *net.OpError
	switch {
	case err != nil && errors.As(err, &dial) && dial.Op == "dial":
		return history.Refused
	case err != nil || got.status == 504:
		return history.Unknown
	case got.status == 200 || got.status == 201 || got.status == 404 || got.status == 409:
		return history.OK
	default:
		return history.Refused
	}
}

// do sends a request and fills in the common fields of the answer; the rest is up to the caller.
func (w *World) do(op *history.Op, method, path string, body interface{}, within time.Duration) answer {
	turns := w.History.ForeignTurns(op.Replica)
	op.Call = w.History.Now()
	got, err := w.request(op.Replica, method, path, body, within)
	op.Return = w.History.Now()
	op.Outcome, op.Status, op.Applied = outcomeOf(got, err), got.status, got.applied
	op.Foreign = w.isForeign(op.Replica, turns)
	return got
}

type registration struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Host        string  `json:"host"`
	Port        int     `json:"port"`
	TTL         float64 `json:"ttl"`
	ReapAfter   float64 `json:"reap_after"`
	Incarnation uint64  `json:"incarnation,omitempty"`
}

type registered struct {
	Incarnation uint64 `json:"incarnation"`
	Index       uint64 `json:"index"`
}

// register sends one registration; said is its incarnation, or 0.
func (w *World) register(client string, replica int, set string, r registration) history.Op {
	op := history.Op{Client: client, Replica: replica, Kind: history.Register, Set: set, Key: r.ID, Value: r.Port,
		Said: r.Incarnation, TTLMs: int64(r.TTL * 1000)}
	if r.Incarnation != 0 {
		op.Kind = history.Update
	}
	r.Host = "10.0.0.1"
	got := w.do(&op, "POST", "/register", r, writeWithin)
	var told registered
	if op.Outcome == history.OK && json.Unmarshal(got.body, &told) == nil {
		op.Incarnation, op.Index = told.Incarnation, told.Index
	}
	w.History.Add(op)
	return op
}

func (w *World) deregister(client string, replica int, set, id string, said uint64) history.Op {
	op := history.Op{Client: client, Replica: replica, Kind: history.Deregister, Set: set, Key: id, Said: said}
	path := "/instances/" + url.PathEscape(id)
	if said != 0 {
		path += "?incarnation=" + strconv.FormatUint(said, 10)
	}
	got := w.do(&op, "DELETE", path, nil, writeWithin)
	var told registered
	if op.Outcome == history.OK && op.Status == 200 && json.Unmarshal(got.body, &told) == nil {
		op.Index = told.Index
	}
	w.History.Add(op)
	return op
}

func (w *World) heartbeat(client string, replica int, set, id string, ttl time.Duration) history.Op {
	op := history.Op{Client: client, Replica: replica, Kind: history.Heartbeat, Set: set, Key: id,
		TTLMs: int64(ttl / time.Millisecond)}
	got := w.do(&op, "POST", "/heartbeat", map[string]string{"id": id}, writeWithin)
	var told registered
	if op.Outcome == history.OK && op.Status == 200 && json.Unmarshal(got.body, &told) == nil {
		op.Index = told.Index
	}
	w.History.Add(op)
	return op
}

// consistency as query parameters.
func consistency(op *history.Op) string {
	switch op.Mode {
	case "linearizable":
		return "consistency=linearizable"
	case "min_index":
		return "min_index=" + strconv.FormatUint(op.MinIndex, 10)
	}
	return "consistency=stale"
}

func (w *World) get(client string, replica int, set, id, mode string, minIndex uint64) history.Op {
	op := history.Op{Client: client, Replica: replica, Kind: history.Get, Set: set, Key: id, Mode: mode, MinIndex: minIndex}
	got := w.do(&op, "GET", "/instances/"+url.PathEscape(id)+"?"+consistency(&op), nil, readWithin)
	var told instance
	if op.Outcome == history.OK && op.Status == 200 && json.Unmarshal(got.body, &told) == nil {
		op.Value, op.Incarnation, op.Health, op.Index = told.Port, told.Incarnation, told.Health, told.Index
	}
	w.History.Add(op)
	return op
}

type listing struct {
	Index     uint64     `json:"index"`
	Instances []instance `json:"instances"`
}

// list reads a service, or waits for its index to pass `index` when kind is poll.
func (w *World) list(client string, replica int, service, kind, mode string, minIndex, index uint64) history.Op {
	op := history.Op{Client: client, Replica: replica, Kind: kind, Key: service, Mode: mode, MinIndex: minIndex}
	path, within := "/services/"+service+"?health=any&"+consistency(&op), readWithin
	if kind == history.Poll {
		path += "&index=" + strconv.FormatUint(index, 10) + "&wait=" + pollWaits.String()
		within += pollWaits
		op.Said = index
	}
	got := w.do(&op, "GET", path, nil, within)
	var told listing
	if op.Outcome == history.OK && op.Status == 200 && json.Unmarshal(got.body, &told) == nil {
		op.Index, op.Count = told.Index, len(told.Instances)
		for _, i := range told.Instances {
			op.Digest += history.ItemDigest(i.ID, i.Port, i.Incarnation, i.Health, i.Index)
		}
		// The server counts in whole milliseconds.
		op.Waited = kind == history.Poll && op.Return-op.Call >= int64(pollWaits-time.Millisecond)
	}
	w.History.Add(op)
	return op
}

// random is the random source of one goroutine, derived from the seed of the run.
func random(seed int64, name string) *rand.Rand {
	for _, c := range name {
		seed = seed*1000003 + int64(c)
	}
	return rand.New(rand.NewSource(seed))
}

// strayShare of the requests goes to a machine that may not be a member, as from a client with an old list.
const strayShare = 32

// anyReplica is a random member, sometimes any machine.
func (w *World) anyReplica(r *rand.Rand) int {
	if r.Intn(strayShare) == 0 {
		return 1 + r.Intn(len(w.URLs)-1)
	}
	return w.turn(r.Intn(1 << 30))
}

// turn is the member whose turn it is.
func (w *World) turn(k int) int {
	if w.Members == nil {
		return 1 + k%(len(w.URLs)-1)
	}
	members := w.Members()
	return members[k%len(members)]
}

// sleep returns false once the run is over.
func (w *World) sleep(d time.Duration) bool {
	select {
	case <-w.stop.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (w *World) over() bool { return w.stop.Err() != nil }

func (w *World) spawn(what func()) {
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		what()
	}()
}
