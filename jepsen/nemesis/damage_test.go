package nemesis

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func directory(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var segment = strings.Repeat("f", 3*sectorBytes)

func member(t *testing.T) string {
	return directory(t, map[string]string{"identity": "muster identity 2", "lock": "77",
		"log-0000000000000003": segment, "log-0000000000000004": segment + strings.Repeat("\x00", 4000),
		"log-0000000000000005":                       strings.Repeat("f", sectorBytes) + strings.Repeat("\x00", 4000),
		"snapshot-000000000000000f-0000000000000002": "old", "snapshot-0000000000000010-0000000000000002": "newest",
		"snapshot.taken": "half"})
}

func TestOnlyFilesThatAreNeededAreDamaged(t *testing.T) {
	got, err := needed(member(t))
	want := map[string]int{"identity": 17, "log-0000000000000003": 3 * sectorBytes, "log-0000000000000004": 3 * sectorBytes,
		"snapshot-0000000000000010-0000000000000002": 6}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, %v", got, err)
	}
	names := []string{"identity", "log-1", "log-2", "log-3", "snapshot-1"}
	for name, may := range map[string]bool{"identity": true, "log-1": false, "log-2": true, "log-3": true, "snapshot-1": false} {
		if mayGo(name, names) != may {
			t.Errorf("%s may be taken away: %t", name, !may)
		}
	}
	if !mayGo("log-7", []string{"identity", "log-7"}) {
		t.Error("the only segment is missed")
	}
}

func TestDamageChangesOneFileAndCanBeUndone(t *testing.T) {
	dir, ways := member(t), map[string]bool{}
	before, err := contents(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := &Nemesis{r: rand.New(rand.NewSource(3))}
	for try := 0; try < 100; try++ {
		what, undo, err := n.spoil(dir)
		if err != nil {
			t.Fatal(err)
		}
		after, err := contents(dir)
		name := differs(before, after)
		if err != nil || name == "" || !strings.Contains(what, name) {
			t.Fatalf("%s: %s differs, %v", what, name, err)
		}
		for _, way := range []string{"taken away", "cut to", "flipped"} {
			if strings.Contains(what, way) {
				ways[way+name[:3]] = true
			}
		}
		if err := undo(); err != nil {
			t.Fatal(err)
		}
		if after, err = contents(dir); err != nil || differs(before, after) != "" {
			t.Fatalf("%s: %s is not as it was, %v", what, differs(before, after), err)
		}
	}
	if len(ways) != 8 {
		t.Errorf("%v", ways)
	}
}

func TestNoMoreThanAMinorityLosesItsDirectories(t *testing.T) {
	for size, most := range map[int]int{3: 1, 5: 2} {
		n, _ := nemesisOf(size)
		counts := map[int]bool{}
		for try := 0; try < 50; try++ {
			targets := n.some(n.free())
			if len(targets) == 0 || len(targets) > most || len(without(n.free(), targets)) != size-len(targets) {
				t.Errorf("%v of %d", targets, size)
			}
			counts[len(targets)] = true
		}
		if len(counts) != most {
			t.Errorf("of %d: %v", size, counts)
		}
	}
}
