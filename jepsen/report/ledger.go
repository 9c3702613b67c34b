package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

const (
	ledgerBegin = "<!-- ledger: written by jepsen/run.sh --ledger -->"
	ledgerEnd   = "<!-- end of ledger -->"
)

type line struct {
	runs, bit, elections, violations, broken, void int
	operations, gap                                float64
}

// WriteLedger regenerates the ledger in the file from the recorded runs. Runs with mutants are
// listed separately.
func WriteLedger(runs, readme string) error {
	verdicts, err := filepath.Glob(filepath.Join(runs, "*", "verdict.json"))
	if err != nil {
		return err
	}
	sort.Strings(verdicts)
	kinds, mutants := map[string]*line{}, map[string]*line{}
	bugs := []string{}
	all := &line{}
	for _, path := range verdicts {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		v := &Verdict{}
		if err := json.Unmarshal(text, v); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if v.Run.Mutant != "" {
			count(mutants, v.Run.Mutant, v)
			continue
		}
		all.add(v)
		seen := map[string]bool{}
		for i, f := range v.Faults {
			if f.Bit > 0 && f.Error == "" {
				l := lineOf(kinds, f.Kind)
				l.bit++
				if i < len(v.Gaps) && v.Gaps[i].Seconds > l.gap {
					l.gap = v.Gaps[i].Seconds
				}
			}
			if !seen[f.Kind] {
				seen[f.Kind] = true
				count(kinds, f.Kind, v)
			}
		}
		if v.Verdict == "violation" {
			bugs = append(bugs, fmt.Sprintf("`%s` at %s: %s", v.Run.Command, v.Run.Commit, v.Line()))
		}
	}
	return replace(readme, render(len(verdicts), all, kinds, mutants, bugs))
}

func lineOf(all map[string]*line, name string) *line {
	if all[name] == nil {
		all[name] = &line{}
	}
	return all[name]
}

func (l *line) add(v *Verdict) {
	l.runs++
	l.operations += v.Figures["operations"]
	l.elections += v.Run.Elections
	l.violations += len(v.Violations)
	switch v.Verdict {
	case "void":
		l.void++
	case "violation":
		l.broken++
	}
}

func count(all map[string]*line, name string, v *Verdict) { lineOf(all, name).add(v) }

func names(all map[string]*line) []string {
	found := []string{}
	for name := range all {
		found = append(found, name)
	}
	sort.Strings(found)
	return found
}

func render(runs int, all *line, kinds, mutants map[string]*line, bugs []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs without mutants, %.0f operations checked, %d elections, %d runs void.\n", all.runs, all.operations,
		all.elections, all.void)
	b.WriteString("A write gap is that of all faults at the time, from the beginning of one to 3 s after its end.\n\n")
	b.WriteString("| fault | runs | bit | operations in these runs | elections | longest write gap | violations |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, name := range names(kinds) {
		l := kinds[name]
		fmt.Fprintf(&b, "| %s | %d | %d | %.0f | %d | %.2f s | %d |\n", name, l.runs, l.bit, l.operations, l.elections, l.gap, l.violations)
	}
	if len(mutants) > 0 {
		list := []string{}
		for _, name := range names(mutants) {
			list = append(list, fmt.Sprintf("`%s` %d of %d", name, mutants[name].broken, mutants[name].runs))
		}
		fmt.Fprintf(&b, "\nMutants, and the runs that caught them: %s.\n", strings.Join(list, ", "))
	}
	for _, bug := range bugs {
		fmt.Fprintf(&b, "\n- %s", bug)
	}
	return b.String()
}

func replace(path, ledger string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := strings.Index(string(text), ledgerBegin), strings.Index(string(text), ledgerEnd)
	if begin < 0 || end < begin {
		return fmt.Errorf("%s has no place for the ledger", path)
	}
	changed := string(text[:begin+len(ledgerBegin)]) + "\n" + strings.TrimRight(ledger, "\n") + "\n" + string(text[end:])
	return os.WriteFile(path, []byte(changed), 0o644)
}
