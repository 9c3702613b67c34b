package report

import (
	"fmt"
	"math"
	"strings"

	"muster/jepsen/history"
)

const (
	width, height = 1240.0, 320.0
	// Limit on points; a long run is thinned out, except slow and failed operations.
	pointsMax = 12000
	slowNs    = int64(5e8)
)

// timeline draws every operation's latency over time, with a band for each fault.
func timeline(h *history.History) string {
	end := float64(h.Run.EndNs)
	if end == 0 {
		end = 1
	}
	x := func(at int64) float64 { return float64(at) / end * width }
	// Logarithmic, from 0.1 ms to 10 s.
	y := func(ns int64) float64 {
		share := (math.Log10(math.Max(float64(ns)/1e6, 0.1)) + 1) / 5
		return height - math.Min(share, 1)*height
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%g" height="%g" viewBox="0 0 %g %g">`, width, height+20, width, height+20)
	for i, f := range h.Faults {
		fmt.Fprintf(&b, `<g><title>%s %v</title><rect x="%.1f" y="0" width="%.1f" height="%g" fill="#e66" fill-opacity="0.18"/>`+
			`<text x="%.1f" y="%d" font-size="9">%s</text></g>`, f.Kind, f.Targets, x(f.From), math.Max(x(f.To)-x(f.From), 1), height,
			x(f.From), 10+i%4*10, f.Kind)
	}
	for _, line := range []struct {
		ns   int64
		name string
	}{{1e6, "1 ms"}, {1e7, "10 ms"}, {1e8, "0.1 s"}, {1e9, "1 s"}} {
		fmt.Fprintf(&b, `<path d="M0 %.1fH%g" stroke="#ddd"/><text x="2" y="%.1f" font-size="9" fill="#888">%s</text>`,
			y(line.ns), width, y(line.ns)-2, line.name)
	}
	each := 1 + len(h.Ops)/pointsMax
	colours := map[history.Outcome]string{history.OK: "#2a2", history.Refused: "#e90", history.Unknown: "#d00"}
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Kind == history.Poll || (i%each != 0 && op.Outcome == history.OK && op.Return-op.Call < slowNs) {
			continue
		}
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="1.5" height="1.5" fill="%s"/>`, x(op.Return), y(op.Return-op.Call),
			colours[op.Outcome])
	}
	for s := 0.0; s < end/1e9; s += 10 {
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" font-size="9">%g s</text>`, x(int64(s*1e9)), height+14, s)
	}
	b.WriteString("</svg>")
	return b.String()
}
