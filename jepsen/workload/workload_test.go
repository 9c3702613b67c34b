package workload

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"muster/jepsen/history"
)

func TestAnOutcomeIsWhatAnHonestClientMayBelieve(t *testing.T) {
	for _, c := range []struct {
		status int
		err    error
		want   history.Outcome
	}{
		{201, nil, history.OK}, {404, nil, history.OK}, {409, nil, history.OK}, {503, nil, history.Refused},
		{504, nil, history.Unknown}, {0, errors.New("connection reset"), history.Unknown},
		{0, &net.OpError{Op: "dial", Err: errors.New("refused")}, history.Refused},
		{0, &net.OpError{Op: "read", Err: errors.New("reset")}, history.Unknown},
	} {
		if got := outcomeOf(answer{status: c.status}, c.err); got != c.want {
			t.Errorf("%d %v: %s, not %s", c.status, c.err, got, c.want)
		}
	}
}

func TestAReaderOfEventsObeysTheStandard(t *testing.T) {
	asked := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Last-Event-ID")
		fmt.Fprint(w, ": hello\n\nid: 5.1\nevent: registered\ndata: {\"id\":\"5.1\",\ndata: \"instance\":{\"id\":\"a\",\"port\":3}}\n\n"+
			"id: 9.0\n\nevent: reset\nid: 12.0\ndata: {\"index\": 12}\n\nid: 13.0\nevent: expired\ndata: {\"cut")
	}))
	defer server.Close()
	h := history.New()
	w := &World{URLs: []string{"", server.URL}, History: h, http: newHTTP(), stop: httptest.NewRequest("GET", "/", nil).Context()}
	d := &reader{w: w, name: "x", known: true, index: 4, r: random(1, "x")}
	d.connect()
	if asked != "4.0" {
		t.Errorf("asked for what comes after '%s'", asked)
	}
	what := ""
	for _, seen := range h.Seen {
		what += fmt.Sprintf("%s %d.%d %s %d;", seen.What, seen.Index, seen.Position, seen.ID, seen.Value)
	}
	if what != "event 5.1 a 3;bookmark 9.0  0;reset 12.0  0;" {
		t.Error(what)
	}
	if d.index != 12 {
		t.Errorf("goes on from %d: half a block counts for nothing", d.index)
	}
}

func TestClientsGoToTheMembersOfTheMomentAndNowAndThenElsewhere(t *testing.T) {
	w := &World{URLs: make([]string, 7), Members: func() []int { return []int{2, 5} }}
	counts, r := map[int]int{}, random(1, "x")
	for try := 0; try < 10000; try++ {
		counts[w.anyReplica(r)]++
	}
	if counts[2] < 4000 || counts[5] < 4000 || counts[1] == 0 || counts[6] == 0 || counts[1] > 200 || counts[0]+counts[7] > 0 {
		t.Errorf("%v", counts)
	}
	w.Members = nil
	if w.turn(7) != 2 {
		t.Error("all are members")
	}
}

func TestAProgramThatEndsByItselfIsReported(t *testing.T) {
	folder := t.TempDir()
	for script, findings := range map[string]int{"exit 0": programCount, "trap 'exit 143' TERM; while :; do sleep 0.05; done": 0} {
		muster := filepath.Join(folder, "muster")
		if err := os.WriteFile(muster, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		h := history.New()
		p, err := StartPrograms(muster, folder, []string{"http://127.0.0.1:1"}, h)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		p.Stop()
		if len(h.Findings) != findings || len(h.Run.Programs) != programCount {
			t.Errorf("'%s': %+v", script, h.Findings)
		}
	}
}
