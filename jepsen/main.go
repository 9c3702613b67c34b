// Command jepsen runs a Jepsen-style test: a real cluster, clients, faults, a recorded history, and
// checkers that decide what it proves. jepsen/run.sh builds everything and starts it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"muster/jepsen/checker"
	"muster/jepsen/history"
	"muster/jepsen/nemesis"
	"muster/jepsen/report"
)

const (
	exitViolation = 1
	exitVoid      = 2
)

func fail(format string, values ...interface{}) {
	fmt.Fprintf(os.Stderr, "jepsen: "+format+"\n", values...)
	fmt.Printf("void: "+format+"\n", values...)
	os.Exit(exitVoid)
}

func main() {
	var o options
	flag.DurationVar(&o.time, "time", 90*time.Second, "how long clients run, faults included")
	nemeses := flag.String("nemesis", "kill,pause,partition", "families or kinds of faults, with commas; all; none. Families: "+
		strings.Join(nemesis.Families(), " "))
	flag.Int64Var(&o.seed, "seed", time.Now().UnixNano()%1_000_000, "the run's source of chance")
	flag.IntVar(&o.replicas, "replicas", 3, "3 or 5")
	flag.StringVar(&o.on, "on", "processes", "processes or docker")
	flag.StringVar(&o.mutant, "mutant", "", "a mutant of jepsen/mutants")
	flag.StringVar(&o.musterd, "musterd", "", "the program to test (run.sh builds one)")
	flag.StringVar(&o.muster, "muster", "", "the command line; programs run under it meanwhile")
	flag.StringVar(&o.image, "image", "muster", "with --on docker: the image to test")
	flag.StringVar(&o.commit, "commit", "", "what is tested, for the record")
	runs := flag.String("runs", "build/jepsen/runs", "where runs are kept")
	recheck := flag.String("recheck", "", "check a run that was recorded earlier")
	ledger := flag.Bool("ledger", false, "write the ledger in jepsen/README.md from the recorded runs")
	readme := flag.String("readme", "jepsen/README.md", "the file with the ledger")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		fail("what is '%s'?", flag.Arg(0))
	case *ledger:
		if err := report.WriteLedger(*runs, *readme); err != nil {
			fail("%v", err)
		}
	case *recheck != "":
		h, err := history.Load(*recheck)
		if err != nil {
			fail("%v", err)
		}
		os.Exit(conclude(*recheck, h, checker.Check(h)))
	case o.replicas != 3 && o.replicas != 5:
		fail("--replicas is 3 or 5")
	default:
		o.nemeses = families(*nemeses)
		o.folder = filepath.Join(*runs, fmt.Sprintf("%s-%d", time.Now().UTC().Format("20060102-150405"), o.seed))
		h, result, err := perform(o)
		if err != nil {
			fail("%v", err)
		}
		os.Exit(conclude(o.folder, h, result))
	}
}

func families(list string) []string {
	switch list {
	case "none":
		return nil
	case "all":
		return nemesis.Families()
	}
	return strings.Split(list, ",")
}

// conclude writes verdict and report, and prints the verdict last.
func conclude(folder string, h *history.History, result *checker.Result) int {
	v := report.Decide(h, result)
	if err := report.Write(folder, h, v); err != nil {
		fail("%v", err)
	}
	for _, violation := range v.Violations {
		fmt.Printf("  %.3f s %s: %s\n", float64(violation.At)/1e9, violation.Check, violation.Detail)
	}
	for _, why := range v.Void {
		fmt.Printf("  void: %s\n", why)
	}
	fmt.Printf("report: %s\n%s\n", filepath.Join(folder, "report.html"), v.Line())
	return v.Status
}
