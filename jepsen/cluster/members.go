package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sort"
	"time"
)

const (
	// Growth is the maximum number of additional members.
	Growth = 2
	// Spares are the machines without a member at the beginning: for these, and one replacement.
	Spares = Growth + 1
)

// Member is one of a replica's list.
type Member struct {
	ID   int    `json:"id"`
	Life string `json:"life"`
	Role string `json:"role"` // voter, standby, spare
	Peer string `json:"peer"`
}

// Roster is a replica's list of members.
type Roster struct {
	ID      int      `json:"id"`
	Leader  int      `json:"leader"`
	Term    uint64   `json:"term"`
	Members []Member `json:"members"`
}

// Voters are the ids of those with a vote.
func (r Roster) Voters() []int {
	ids := []int{}
	for _, m := range r.Members {
		if m.Role == "voter" {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// AskRoster of one replica.
func AskRoster(c Cluster, n int) (Roster, error) {
	var told Roster
	_, err := ask(c, n, "/cluster/members", &told)
	return told, err
}

// Voters are the machines with a vote, according to the replica that knows the latest leader; all members
// if nobody answers.
func Voters(c Cluster) []int {
	best, members := Roster{}, c.Members()
	for _, n := range members {
		told, err := AskRoster(c, n)
		// Of those that know the same leader, the leader itself is most current.
		if err == nil && told.Leader != 0 && (told.Term > best.Term || (told.Term == best.Term && told.Leader == told.ID)) {
			best = told
		}
	}
	if best.Leader == 0 {
		return members
	}
	voters := []int{}
	for _, n := range members {
		for _, m := range best.Members {
			if m.ID == c.ID(n) && m.Role == "voter" {
				voters = append(voters, n)
				break
			}
		}
	}
	return voters
}

// changeWithin is more than the answer to any change may take.
const changeWithin = 20 * time.Second

var changing = &http.Client{Timeout: changeWithin, Transport: &http.Transport{DisableKeepAlives: true}}

// Change requests a membership change from a replica.
func Change(c Cluster, n int, method, path string) (int, string, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, c.URL(n)+"/cluster/"+path, nil)
	if err != nil {
		return 0, "", err
	}
	answer, err := changing.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	return answer.StatusCode, string(body), err
}

// RosterFault describes how a replica's list differs from the right members, each with a vote at its
// address. "": it does not.
func RosterFault(c Cluster, n int) string {
	told, err := AskRoster(c, n)
	if err != nil {
		return err.Error()
	}
	listed, wanted := []string{}, []string{}
	for _, m := range told.Members {
		listed = append(listed, fmt.Sprintf("%d at %s: %s", m.ID, m.Peer, m.Role))
	}
	for _, m := range c.Members() {
		wanted = append(wanted, fmt.Sprintf("%d at %s: voter", c.ID(m), c.Peer(m)))
	}
	sort.Strings(listed)
	sort.Strings(wanted)
	if fmt.Sprint(listed) != fmt.Sprint(wanted) {
		return fmt.Sprintf("%v, not %v", listed, wanted)
	}
	return ""
}

// AwaitRoster waits until all members list the right members; otherwise returns which does not, and how.
func AwaitRoster(c Cluster, within time.Duration) string {
	for deadline := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		wrong := ""
		for _, n := range c.Members() {
			if fault := RosterFault(c, n); fault != "" {
				wrong = fmt.Sprintf("replica %d lists %s", n, fault)
			}
		}
		if wrong == "" || time.Now().After(deadline) {
			return wrong
		}
	}
}
