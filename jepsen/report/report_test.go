package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/jepsen/checker"
	"muster/jepsen/history"
)

func resultOf(violations, void int) *checker.Result {
	r := &checker.Result{Figures: map[string]float64{"operations": 10}}
	for ; violations > 0; violations-- {
		r.Violations = append(r.Violations, checker.Violation{Check: "x"})
	}
	for ; void > 0; void-- {
		r.Void = append(r.Void, "y")
	}
	return r
}

func TestAViolationCountsEvenInAVoidRun(t *testing.T) {
	for _, c := range []struct{ violations, void, status int }{{0, 0, 0}, {1, 0, 1}, {0, 1, 2}, {1, 1, 1}} {
		if got := Decide(history.New(), resultOf(c.violations, c.void)); got.Status != c.status {
			t.Errorf("%+v: %s", c, got.Verdict)
		}
	}
}

func TestTheLedgerAddsUpRunsAndLeavesTheRestOfThePage(t *testing.T) {
	runs, page := t.TempDir(), filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(page, []byte("before\n"+ledgerBegin+"\nold\n"+ledgerEnd+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for i, violations := range []int{0, 1} {
		h := history.New()
		h.Run.Command = "jepsen/run.sh --seed 5"
		h.Faults = []history.Fault{{Kind: "kill-any", Bit: 1}, {Kind: "loss", Bit: 0}}
		r := resultOf(violations, 0)
		r.Gaps = []checker.Gap{{Kind: "kill-any", Seconds: 1.5}, {Kind: "loss"}}
		folder := filepath.Join(runs, string(rune('a'+i)))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := Write(folder, h, Decide(h, r)); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteLedger(runs, page); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(page)
	for _, want := range []string{"before\n", "after\n", "2 runs", "| kill-any | 2 | 2 | 20 | 0 | 1.50 s | 1 |", "--seed 5"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no '%s' in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Error("the old ledger is still there")
	}
}
