package checker

import (
	"strings"
	"testing"

	"muster/jepsen/history"
)

const millisecond = second / 1000

// asked is a request to a replica that was answered after some time, or never.
func asked(kind string, replica int, call, took int64, status int) history.Op {
	outcome := history.Unknown
	if status == 503 {
		outcome = history.Refused
	}
	return history.Op{Client: "s", Replica: replica, Kind: kind, Set: "stuck", Key: "stuck-0", Call: call, Return: call + took, Status: status,
		Outcome: outcome}
}

// stuck is a sound history in which the disk of replica 1 stalls from 50 s to 56 s.
func stuck() *history.History {
	h := sound()
	h.Faults = append(h.Faults, history.Fault{Kind: "disk-stuck-leader", Targets: []int{1}, From: 50 * second, To: 56 * second, Bit: 1})
	h.Ops = append(h.Ops,
		asked(history.Register, 1, 51*second, 2050*millisecond, 504), asked(history.Heartbeat, 1, 52*second, 5*millisecond, 503),
		asked(history.Poll, 1, 53*second, 4100*millisecond, 504),
		// Not affected: another replica, and requests before and after the fault.
		asked(history.Register, 2, 51*second, 9*second, 0), asked(history.Register, 1, 49*second, 9*second, 0),
		asked(history.Register, 1, 57*second, 9*second, 0))
	return h
}

func deadlines(r *Result) int { return int(r.Figures["violations_of_answered_by_the_deadline"]) }

func TestRequestsThatAreAnsweredByTheirDeadlineAreClean(t *testing.T) {
	r := Check(stuck())
	if len(r.Violations) > 0 || len(r.Void) > 0 {
		t.Fatalf("%+v %v", r.Violations, r.Void)
	}
	if r.Figures["asked_while_disk_or_log_stuck"] != 3 {
		t.Errorf("%v", r.Figures)
	}
}

func TestARequestThatIsLeftHangingIsReported(t *testing.T) {
	for name, op := range map[string]history.Op{
		"a write that is never answered":        asked(history.Register, 1, 51*second, 4*second, 0),
		"a heartbeat that is answered too late": asked(history.Heartbeat, 1, 55*second, 3900*millisecond, 504),
		"a read that hangs":                     asked(history.Get, 1, 50*second, 4*second, 0),
		"a poll that hangs":                     asked(history.Poll, 1, 50*second, 6*second, 0),
		"one that begins as the disk goes on":   asked(history.Deregister, 1, 56*second, 4*second, 0),
	} {
		h := stuck()
		h.Ops = append(h.Ops, op)
		if r := Check(h); deadlines(r) != 1 {
			t.Errorf("%s: %+v", name, r.Violations)
		}
	}
}

func TestALogThatNobodyReadsHoldsUpNoRequest(t *testing.T) {
	h := stuck()
	h.Faults = append(h.Faults, history.Fault{Kind: "stuck-log-all", Targets: []int{1, 2}, From: 50*second + 1, To: 52 * second, Bit: 1})
	if r := Check(h); deadlines(r) != 1 || !strings.Contains(r.Violations[0].Detail, "stuck-log-all") {
		t.Errorf("%+v", r.Violations)
	}
}

func TestAPausedReplicaHasNoDeadline(t *testing.T) {
	h := stuck()
	h.Faults[len(h.Faults)-1].Kind = "pause-leader"
	h.Ops = append(h.Ops, asked(history.Register, 1, 51*second, 4*second, 0))
	if r := Check(h); deadlines(r) != 0 {
		t.Errorf("%+v", r.Violations)
	}
}

func TestAStuckDiskThatNobodyAskedProvesNothing(t *testing.T) {
	h := sound()
	h.Faults = append(h.Faults, history.Fault{Kind: "disk-stuck-any", Targets: []int{1}, From: 50 * second, To: 52 * second, Bit: 1})
	if r := Check(h); len(r.Void) != 1 || !strings.Contains(r.Void[0], "nobody asked replica 1") {
		t.Errorf("%v", r.Void)
	}
}

func TestARequestIsNotBlamedOnAStuckLogWhenItsReplicaIsStoppedBeforeTheDeadline(t *testing.T) {
	for _, c := range []struct {
		from, to int64
		target   int
		broken   int
	}{{57, 70, 1, 0}, {57, 70, 2, 1}, {62, 70, 1, 1}, {10, 54, 1, 1}} {
		h := stuck()
		h.Faults = append(h.Faults, history.Fault{Kind: "pause-leader", Targets: []int{c.target}, From: c.from * second, To: c.to * second, Bit: 1})
		h.Ops = append(h.Ops, asked(history.Poll, 1, 55*second, 6*second, 0))
		if r := Check(h); deadlines(r) != c.broken {
			t.Errorf("%+v: %+v", c, r.Violations)
		}
	}
}
