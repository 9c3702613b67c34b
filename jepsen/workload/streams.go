package workload

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"net/http"
	"strconv"
	"strings"
	"time"

	"muster/jepsen/history"
)

// Readers of events. Each is one chain: when a connection ends it resumes at another replica after the
// last id it has seen, and must neither miss an event nor receive one twice.
const (
	// After this much silence a reader goes elsewhere; the replica may be stopped.
	quietMax = 4 * time.Second
	lineMax  = 1 << 20
)

type reader struct {
	w        *World
	name     string
	service  string // filter, or all
	snapshot bool
	index    uint64 // the last id
	position uint64
	known    bool // there is one
	synced   bool
	r        *rand.Rand
}

func (w *World) startReadersOfEvents(load Load) {
	w.spawn(func() { w.listEvents(load, "lister") })
	if !load.Streams {
		return
	}
	for _, one := range []reader{
		{name: "stream-all-0", known: true}, {name: "stream-all-1", known: true},
		{name: "stream-flap", service: flapService, known: true},
		{name: "stream-reg", service: regService, known: true},
		{name: "copy-flap", service: flapService, snapshot: true},
		{name: "copy-silent", service: silentService, snapshot: true},
		{name: "copy-reg", service: regService, snapshot: true},
	} {
		one := one
		one.w, one.r = w, random(load.Seed, one.name)
		w.spawn(func() {
			one.see("start", history.Seen{Index: one.index, Position: one.position})
			for !w.over() {
				one.connect()
				w.sleep(20 * time.Millisecond)
			}
		})
	}
}

func (d *reader) see(what string, seen history.Seen) {
	seen.Reader, seen.Filter, seen.What, seen.At = d.name, d.service, what, d.w.History.Now()
	d.w.History.AddSeen(seen)
}

func parseID(text string) (index, position uint64, ok bool) {
	dot := strings.IndexByte(text, '.')
	if dot < 0 {
		return 0, 0, false
	}
	index, err := strconv.ParseUint(text[:dot], 10, 64)
	if err != nil {
		return 0, 0, false
	}
	position, err = strconv.ParseUint(text[dot+1:], 10, 64)
	return index, position, err == nil
}

// connect reads one connection to its end.
func (d *reader) connect() {
	replica := d.w.anyReplica(d.r)
	turns := d.w.History.ForeignTurns(replica)
	if d.w.isForeign(replica, turns) {
		return
	}
	ctx, cancel := context.WithCancel(d.w.stop)
	defer cancel()
	path := "/events?"
	if d.service != "" {
		path += "service=" + d.service + "&"
	}
	if d.snapshot {
		path += "snapshot=true"
	}
	request, err := http.NewRequestWithContext(ctx, "GET", d.w.URLs[replica]+strings.TrimRight(path, "?&"), nil)
	if err != nil {
		return
	}
	request.Header.Set("Accept", "text/event-stream")
	if d.snapshot && !d.synced {
		d.known = false
		d.see("start", history.Seen{Replica: replica})
	}
	if d.known {
		request.Header.Set("Last-Event-ID", fmt.Sprintf("%d.%d", d.index, d.position))
	}
	quiet := time.AfterFunc(quietMax, cancel)
	defer quiet.Stop()
	// Sometimes it disconnects by itself, to resume elsewhere.
	leave := time.AfterFunc(time.Duration(2000+d.r.Intn(8000))*time.Millisecond, cancel)
	defer leave.Stop()
	got, err := d.w.http.Do(request)
	if err != nil {
		return
	}
	defer got.Body.Close()
	if got.StatusCode != 200 {
		if got.StatusCode != 503 {
			d.w.History.AddFinding("stream_answers", "%s: replica %d answered %d", d.name, replica, got.StatusCode)
		}
		d.w.sleep(50 * time.Millisecond)
		return
	}
	lines := bufio.NewScanner(got.Body)
	lines.Buffer(make([]byte, 4096), lineMax)
	block := map[string]string{}
	for lines.Scan() {
		quiet.Reset(quietMax)
		if d.w.isForeign(replica, turns) {
			return
		}
		line := lines.Text()
		if line == "" {
			d.dispatch(replica, block)
			block = map[string]string{}
		} else if !strings.HasPrefix(line, ":") {
			field, value := line, ""
			if colon := strings.IndexByte(line, ':'); colon >= 0 {
				field, value = line[:colon], strings.TrimPrefix(line[colon+1:], " ")
			}
			if before, there := block[field]; there && field == "data" {
				value = before + "\n" + value
			}
			block[field] = value
		}
	}
}

// dispatch handles one block, by the standard of server-sent events.
func (d *reader) dispatch(replica int, block map[string]string) {
	seen := history.Seen{Replica: replica, Event: block["event"]}
	id, hasID := block["id"]
	if hasID {
		var ok bool
		if seen.Index, seen.Position, ok = parseID(id); !ok {
			d.w.History.AddFinding("stream_ids", "%s: the id '%s' of replica %d", d.name, id, replica)
			return
		}
		d.index, d.position, d.known = seen.Index, seen.Position, true
	}
	data, hasData := block["data"]
	if !hasData {
		if hasID {
			d.see("bookmark", seen)
		}
		return
	}
	var told struct {
		Index    uint64   `json:"index"`
		Instance instance `json:"instance"`
	}
	if err := json.Unmarshal([]byte(data), &told); err != nil {
		d.w.History.AddFinding("stream_data", "%s: %v in '%.200s'", d.name, err, data)
		return
	}
	i := told.Instance
	seen.ID, seen.Service, seen.Value, seen.Incarnation = i.ID, i.Name, i.Port, i.Incarnation
	seen.Health, seen.Changed = i.Health, i.Index
	switch block["event"] {
	case "reset":
		d.synced = false
		d.see("reset", seen)
	case "synced":
		d.synced = true
		seen.Changed = told.Index
		d.see("synced", seen)
	case "present":
		d.see("present", seen)
	default:
		d.see("event", seen)
	}
}

// listEvents follows the same events through the listing, with blocking queries: a second source of truth.
func (w *World) listEvents(load Load, name string) {
	d := &reader{w: w, name: name, r: random(load.Seed, name)}
	d.see("start", history.Seen{})
	var index uint64
	for !w.over() {
		replica := w.anyReplica(d.r)
		turns := w.History.ForeignTurns(replica)
		got, err := w.request(replica, "GET", fmt.Sprintf("/events?after=%d.%d&limit=1000&index=%d&wait=1s", d.index,
			d.position, index), nil, 3*time.Second)
		var told struct {
			Index  uint64 `json:"index"`
			First  string `json:"first"`
			Reset  bool   `json:"reset"`
			Events []struct {
				ID       string   `json:"id"`
				Event    string   `json:"event"`
				Instance instance `json:"instance"`
			} `json:"events"`
			Next string `json:"next"`
		}
		if err != nil || w.isForeign(replica, turns) || got.status != 200 || json.Unmarshal(got.body, &told) != nil {
			w.sleep(50 * time.Millisecond)
			continue
		}
		if first, position, ok := parseID(told.First); told.Reset && ok {
			// Events before the first one kept are gone.
			if position > 0 {
				position--
			} else {
				first, position = first-1, 1<<32
			}
			d.see("reset", history.Seen{Replica: replica, Index: first, Position: position})
		}
		for _, e := range told.Events {
			seen := history.Seen{Replica: replica, Event: e.Event, ID: e.Instance.ID, Service: e.Instance.Name,
				Value: e.Instance.Port, Incarnation: e.Instance.Incarnation, Health: e.Instance.Health,
				Changed: e.Instance.Index}
			if seen.Index, seen.Position, _ = parseID(e.ID); seen.Index == 0 {
				w.History.AddFinding("event_ids", "the id '%s' of replica %d", e.ID, replica)
				continue
			}
			d.index, d.position = seen.Index, seen.Position
			d.see("event", seen)
		}
		index = told.Index
		if told.Next != "" {
			index = 0
		}
	}
}
