package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// A process writes a line whenever it is told to, by a line.
func TestALogWhoseReaderStandsStillTakesNothingAndLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	piped, writer, err := newStderr(log)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("cat")
	command.Stdout, command.Stderr = writer, writer
	told, err := command.StdinPipe()
	if err == nil {
		err = command.Start()
	}
	writer.Close()
	if err != nil {
		t.Fatal(err)
	}
	has := func(words string) bool {
		text, _ := os.ReadFile(path)
		return strings.Contains(string(text), words)
	}
	say := func(words string) {
		if _, err := told.Write([]byte(words + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	say("before")
	await(t, "the first line is copied", func() bool { return has("before") })
	p := &Processes{all: map[int]*replica{1: {n: 1, command: command, ended: make(chan struct{}), stderr: piped}}}
	if err := p.StickLog(1, true); err != nil {
		t.Fatal(err)
	}
	say("meanwhile")
	// `cat` writes to its descriptor 1; musterd to 2.
	await(t, "the process waits", func() bool {
		text, _ := os.ReadFile("/proc/" + strconv.Itoa(command.Process.Pid) + "/syscall")
		return strings.HasPrefix(string(text), "1 0x1 ")
	})
	if has("meanwhile") || p.WaitsForLog(1) {
		t.Error("the line was taken, or another descriptor counts")
	}
	if err := p.StickLog(1, false); err != nil {
		t.Fatal(err)
	}
	await(t, "the line comes out", func() bool { return has("meanwhile") })
	say("after")
	told.Close()
	if err := command.Wait(); err != nil {
		t.Error(err)
	}
	piped.settled()
	if !has("after") {
		t.Error("the last line is lost")
	}
}
