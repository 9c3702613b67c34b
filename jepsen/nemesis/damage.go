package nemesis

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"muster/jepsen/cluster"
)

// damage changes a file of a stopped replica, which must then refuse to start and touch nothing. After
// that the file is restored, or the directory is emptied, as the manual says: then the member is admitted
// as a new life.
func (n *Nemesis) damage() (*active, error) {
	leader := cluster.AwaitLeader(n.cluster, 2*time.Second)
	free := n.free()
	if leader == 0 || len(free) < len(n.cluster.Members()) {
		return nil, errNoTarget
	}
	target := free[0]
	dir := n.cluster.DataDir(target)
	// After kill -9 the last frame may be incomplete: that is not damage, and is repaired.
	if err := n.cluster.Stop(target); err != nil {
		n.history.AddFinding("stops_in_time", "%v", err)
	}
	what, undo, err := n.spoil(dir)
	if err != nil {
		_ = n.cluster.Up(target)
		return nil, err
	}
	spoiled, err := contents(dir)
	if err != nil {
		return nil, err
	}
	refused, how := n.cluster.Refuses(target)
	if !refused {
		n.history.AddFinding("damage_is_refused", "replica %d after %s: %s", target, what, how)
		if err := n.cluster.Kill(target); err != nil {
			return nil, err
		}
	}
	if now, err := contents(dir); err != nil || (refused && differs(spoiled, now) != "") {
		n.history.AddFinding("damage_is_refused", "replica %d after %s: it refused, but touched %s (%v)", target, what,
			differs(spoiled, now), err)
	}
	if n.r.Intn(2) == 0 {
		what += ", then emptied"
		err = n.cluster.Wipe(target)
	} else {
		err = undo()
	}
	if err == nil {
		err = n.cluster.Sync(target)
	}
	return &active{targets: []int{target}, owned: []int{target}, detail: what, proof: "files damaged",
		felt: func() int64 { return 1 }, heal: func() error { return n.cluster.Up(target) }}, err
}

// sectorBytes is the minimum size of a frame of the log.
const sectorBytes = 512

// used is the length of a file without preallocated zeros.
func used(content []byte) int { return len(bytes.TrimRight(content, "\x00")) }

// needed are the files of a stopped member that it must not start without, by name, with the length of their
// content: the identity, the newest snapshot, and each log segment with more than its first frame.
// Others may be preallocated, and are recreated.
func needed(dir string) (map[string]int, error) {
	all, err := contents(dir)
	found, snapshot := map[string]int{}, ""
	for name, content := range all {
		switch {
		case name == "identity":
			found[name] = len(content)
		case strings.HasPrefix(name, "log-") && used(content) > sectorBytes:
			found[name] = used(content)
		case strings.HasPrefix(name, "snapshot-") && name > snapshot:
			// Indexes have leading zeros, so their order is that of the names.
			snapshot = name
		}
	}
	if snapshot != "" {
		found[snapshot] = len(all[snapshot])
	}
	return found, err
}

// contents of the files of a directory, except the lock, which names the running process.
func contents(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, entry := range entries {
		if entry.Name() == "lock" {
			continue
		}
		if all[entry.Name()], err = os.ReadFile(filepath.Join(dir, entry.Name())); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// differs returns the name of a file that is not the same in both; "" if all are.
func differs(a, b map[string][]byte) string {
	for name, content := range a {
		if other, there := b[name]; !there || !bytes.Equal(content, other) {
			return name
		}
	}
	for name := range b {
		if _, there := a[name]; !there {
			return name
		}
	}
	return ""
}

// spoil flips a bit in a needed file, truncates it or removes it. It returns what it did, and how
// to undo it.
func (n *Nemesis) spoil(dir string) (string, func() error, error) {
	files, err := needed(dir)
	if err != nil {
		return "", nil, err
	}
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	// Identity, log and snapshot are damaged equally often, regardless of the number of segments.
	prefix := []string{"identity", "log-", "log-", "snapshot-"}[n.r.Intn(4)]
	candidates := []string{}
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			candidates = append(candidates, name)
		}
	}
	if len(candidates) == 0 {
		candidates = names
	}
	if len(candidates) == 0 {
		return "", nil, errNoTarget
	}
	name := candidates[n.r.Intn(len(candidates))]
	path := filepath.Join(dir, name)
	content, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	undo := func() error { return os.WriteFile(path, content, 0o600) }
	what, err := n.spoilFile(path, append([]byte(nil), content...), files[name], mayGo(name, names))
	return what, undo, err
}

// mayGo reports whether the removal of a file is detected: not of a snapshot, nor of the oldest of several
// segments, as the log may start later and its content may still exist.
func mayGo(name string, all []string) bool {
	if !strings.HasPrefix(name, "log-") {
		return name == "identity"
	}
	segments := []string{}
	for _, other := range all {
		if strings.HasPrefix(other, "log-") {
			segments = append(segments, other)
		}
	}
	return len(segments) == 1 || name != segments[0]
}

func (n *Nemesis) spoilFile(path string, content []byte, length int, mayGo bool) (string, error) {
	name := filepath.Base(path)
	switch way := n.r.Intn(4); {
	case way == 0 && mayGo:
		return name + " taken away", os.Remove(path)
	case way == 1:
		to := n.r.Intn(length)
		return fmt.Sprintf("%s cut to %d of %d bytes", name, to, len(content)), os.Truncate(path, int64(to))
	}
	at := n.r.Intn(length)
	content[at] ^= 1 << uint(n.r.Intn(8))
	return fmt.Sprintf("a flipped bit in %s at %d of %d", name, at, length), os.WriteFile(path, content, 0o600)
}
