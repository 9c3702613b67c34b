package cluster

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// single is a cluster of one replica that only answers requests.
type single struct {
	Cluster
	url string
}

func (c *single) Members() []int { return []int{1} }
func (c *single) URL(int) string { return c.url }

func TestAVoteIsThatOfTheLifeThatAReplicaHasNow(t *testing.T) {
	const ready, waiting = `"ready":true,"phase":"member"`, `"ready":false,"phase":"waiting"`
	member := func(id int, life, role string) string {
		return fmt.Sprintf(`{"id":%d,"life":"%s","role":"%s","leader":true}`, id, life, role)
	}
	now, before := "00000000000000bb", "00000000000000aa"
	for _, c := range []struct {
		name, health, members string
		votes                 bool
	}{
		{"a voter", ready, member(2, before, "voter") + "," + member(1, now, "voter"), true},
		{"both lives", ready, member(1, before, "voter") + "," + member(1, now, "voter"), true},
		{"a voter that is not ready", waiting, member(1, now, "voter"), false},
		{"a standby", ready, member(1, before, "voter") + "," + member(1, now, "standby"), false},
		{"an earlier life", ready, member(1, before, "voter"), false},
		{"another member", ready, member(2, now, "voter"), false},
		{"nobody", ready, "", false},
	} {
		c := c
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/health" {
				fmt.Fprintf(w, `{"id":1,%s,"life":"%s"}`, c.health, now)
			} else {
				fmt.Fprintf(w, `{"cluster":"x","members":[%s]}`, c.members)
			}
		}))
		one := &single{url: server.URL}
		if health, votes := AskVote(one, 1); votes != c.votes || health.Life != now {
			t.Errorf("%s has a vote: %t, life %s", c.name, votes, health.Life)
		}
		if slow := AwaitReady(one, 0); (slow == 0) != c.votes {
			t.Errorf("%s: %d is not ready", c.name, slow)
		}
		server.Close()
	}
}
