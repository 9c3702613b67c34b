// Package report writes the results of a run: verdict.json for programs, report.html for
// people, porcupine's picture of an id's history.
package report

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/anishathalye/porcupine"

	"muster/jepsen/checker"
	"muster/jepsen/history"
)

// Verdict of a run.
type Verdict struct {
	Verdict string `json:"verdict"` // clean, violation, void
	Status  int    `json:"status"`  // exit status
	*checker.Result
	Run    history.Run     `json:"run"`
	Faults []history.Fault `json:"faults"`
}

// Decide returns the verdict. A violation counts in a void run, too.
func Decide(h *history.History, result *checker.Result) *Verdict {
	v := &Verdict{Verdict: "clean", Result: result, Run: h.Run, Faults: h.Faults}
	switch {
	case len(result.Violations) > 0:
		v.Verdict, v.Status = "violation", 1
	case len(result.Void) > 0:
		v.Verdict, v.Status = "void", 2
	}
	return v
}

// Line is the last line of a run.
func (v *Verdict) Line() string {
	gap := 0.0
	for _, g := range v.Gaps {
		if g.Seconds > gap {
			gap = g.Seconds
		}
	}
	line := fmt.Sprintf("%s: seed %d, %d faults, %.0f operations (%.0f unknown), %.0f events, %d elections, longest write gap %.2f s",
		v.Verdict, v.Run.Seed, len(v.Faults), v.Figures["operations"], v.Figures["operations_unknown"], v.Figures["events"],
		v.Run.Elections, gap)
	if len(v.Violations) > 0 {
		names := map[string]bool{}
		for _, violation := range v.Violations {
			names[violation.Check] = true
		}
		list := []string{}
		for name := range names {
			list = append(list, name)
		}
		sort.Strings(list)
		line += "; broken: " + strings.Join(list, " ")
	}
	return line
}

// Write saves the verdict and the report in the folder.
func Write(folder string, h *history.History, v *Verdict) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "verdict.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	if err := drawRegisters(folder, h, v); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "report.html"), []byte(page(h, v)), 0o644)
}

// drawRegisters draws the history of a violated id, otherwise of the busiest.
func drawRegisters(folder string, h *history.History, v *Verdict) error {
	registers, chosen := checker.Registers(h), ""
	for key, operations := range registers {
		if chosen == "" || len(operations) > len(registers[chosen]) || (len(operations) == len(registers[chosen]) && key < chosen) {
			chosen = key
		}
	}
	for _, violation := range v.Violations {
		if violation.Check == "linearizable" {
			chosen = strings.SplitN(violation.Detail, ":", 2)[0]
			break
		}
	}
	if chosen == "" {
		return nil
	}
	model := checker.Model()
	_, info := porcupine.CheckOperationsVerbose(model, registers[chosen], 0)
	annotations := []porcupine.Annotation{}
	for _, f := range h.Faults {
		annotations = append(annotations, porcupine.Annotation{Tag: "faults", Start: f.From, End: f.To, Description: f.Kind,
			Details: fmt.Sprintf("%v %s", f.Targets, f.Detail), BackgroundColor: "#f6c7c7"})
	}
	info.AddAnnotations(annotations)
	return porcupine.VisualizePath(model, info, filepath.Join(folder, "porcupine.html"))
}

const style = `body{font:14px sans-serif;margin:2em;max-width:1300px}table{border-collapse:collapse}
td,th{border:1px solid #ccc;padding:2px 8px;text-align:left}svg{border:1px solid #ccc;background:#fff}
.violation{color:#a00}.clean{color:#070}.void{color:#a60}`

func page(h *history.History, v *Verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html><meta charset=utf-8><title>%s</title><style>%s</style>", v.Verdict, style)
	fmt.Fprintf(&b, "<h1 class=%s>%s</h1><p>%s</p>", v.Verdict, v.Verdict, html.EscapeString(v.Line()))
	fmt.Fprintf(&b, "<p>Repeat: <code>%s</code><br>commit %s, kernel %s, %d replicas, %s<br>%s</p>",
		html.EscapeString(h.Run.Command), h.Run.Commit, h.Run.Kernel, h.Run.Replicas, h.Run.On,
		html.EscapeString(strings.Join(h.Run.Means, "; ")))
	if len(v.Violations)+len(v.Void) > 0 {
		b.WriteString("<h2>What is wrong</h2><ul>")
		for _, violation := range v.Violations {
			fmt.Fprintf(&b, "<li class=violation>%.3f s: <b>%s</b>: %s", float64(violation.At)/1e9, violation.Check,
				html.EscapeString(violation.Detail))
		}
		for _, why := range v.Void {
			fmt.Fprintf(&b, "<li class=void>void: %s", html.EscapeString(why))
		}
		b.WriteString("</ul>")
	}
	b.WriteString("<h2>Latency of operations, and faults</h2>")
	b.WriteString(timeline(h))
	b.WriteString("<p>Green: done; orange: refused; red: outcome unknown. Bands are faults. " +
		"<a href=porcupine.html>One id's history in porcupine</a></p>")
	b.WriteString("<h2>Faults</h2><table><tr><th>from<th>to<th>kind<th>replicas<th>felt<th>what was counted<th>write gap<th>detail")
	for i, f := range h.Faults {
		gap := ""
		if i < len(v.Gaps) {
			gap = fmt.Sprintf("%.3f s", v.Gaps[i].Seconds)
		}
		fmt.Fprintf(&b, "<tr><td>%.2f<td>%.2f<td>%s<td>%v<td>%d<td>%s<td>%s<td>%s", float64(f.From)/1e9, float64(f.To)/1e9, f.Kind,
			f.Targets, f.Bit, f.Proof, gap, html.EscapeString(f.Detail+" "+f.Error))
	}
	b.WriteString("</table><h2>Figures</h2><table>")
	names := []string{}
	for name := range v.Figures {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(&b, "<tr><td>%s<td>%.6g", name, v.Figures[name])
	}
	b.WriteString("</table>")
	return b.String()
}
