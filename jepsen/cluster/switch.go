package cluster

import (
	"fmt"
	"math/rand"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// The wire between the replicas: an Ethernet switch in this process. Each replica's peer interface is
// a TAP device whose other end we hold, so that every frame from one replica to another passes through
// here and can be dropped, delayed or throttled, each direction separately, on any kernel with TUN.

const (
	frameMax = 2048
	// Limit on frames in flight on one link; others are dropped, as in any switch.
	linkQueueMax = 4096
	// Limit on what a throttled link queues before it drops.
	throttleQueueMax = 400 * time.Millisecond
)

// Trouble is the impairment of one direction of one link.
type Trouble struct {
	Cut    bool
	Loss   float64       // share of frames
	Delay  time.Duration // of each frame
	Jitter time.Duration // at most this in addition; order is kept
	Rate   int           // bytes a second; 0: no limit
}

// Counts of affected frames, by kind of trouble.
type Counts struct{ Cut, Lost, Delayed, Throttled int64 }

type frame struct {
	data []byte
	at   time.Time
}

type link struct {
	trouble atomic.Value // Trouble
	queue   chan frame
	mu      sync.Mutex
	free    time.Time // when a throttled link has sent its queue
	last    time.Time // delivery of the last frame, so that order is kept
}

type wire struct {
	ports  map[int]*os.File // by replica
	links  map[[2]int]*link // from, to
	counts Counts
	done   chan struct{}
}

type ifreq struct {
	name  [16]byte
	flags uint16
	_     [22]byte
}

func openTap(name string) (*os.File, error) {
	const tunSetIff, iffTap, iffNoPi = 0x400454ca, 0x0002, 0x1000
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	var request ifreq
	copy(request.name[:15], name)
	request.flags = iffTap | iffNoPi
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), tunSetIff,
		uintptr(unsafe.Pointer(&request))); errno != 0 {
		syscall.Close(fd)
		return nil, fmt.Errorf("TAP device %s: %w", name, errno)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// macOf is the address of replica n's peer interface; its last byte finds the port.
func macOf(n int) string { return fmt.Sprintf("02:00:00:00:00:%02x", n) }

func newWire(ports map[int]*os.File) *wire {
	w := &wire{ports: ports, links: map[[2]int]*link{}, done: make(chan struct{})}
	for from := range ports {
		for to := range ports {
			if from != to {
				l := &link{queue: make(chan frame, linkQueueMax)}
				l.trouble.Store(Trouble{})
				w.links[[2]int{from, to}] = l
				go w.deliver(l, ports[to])
			}
		}
	}
	for n, port := range ports {
		go w.receive(n, port)
	}
	return w
}

func (w *wire) close() {
	close(w.done)
	for _, port := range w.ports {
		port.Close()
	}
}

func (w *wire) receive(from int, port *os.File) {
	buffer := make([]byte, frameMax)
	for {
		n, err := port.Read(buffer)
		if err != nil {
			select {
			case <-w.done:
				return
			default:
			}
			// The interface is down while its namespace is created.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if n < 14 {
			continue
		}
		if to := int(buffer[5]); buffer[0] == 0x02 && w.ports[to] != nil && to != from {
			w.pass(from, to, buffer[:n])
		} else if buffer[0]&1 != 0 {
			for to := range w.ports {
				if to != from {
					w.pass(from, to, buffer[:n])
				}
			}
		}
	}
}

// pass carries the frame over the link, or drops it.
func (w *wire) pass(from, to int, data []byte) {
	l := w.links[[2]int{from, to}]
	trouble := l.trouble.Load().(Trouble)
	if trouble.Cut {
		atomic.AddInt64(&w.counts.Cut, 1)
		return
	}
	if trouble.Loss > 0 && rand.Float64() < trouble.Loss {
		atomic.AddInt64(&w.counts.Lost, 1)
		return
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	at := now
	if trouble.Rate > 0 {
		if l.free.Before(now) {
			l.free = now
		}
		if l.free.After(now) {
			atomic.AddInt64(&w.counts.Throttled, 1)
		}
		if l.free.Sub(now) > throttleQueueMax {
			return
		}
		l.free = l.free.Add(time.Duration(len(data)) * time.Second / time.Duration(trouble.Rate))
		at = l.free
	}
	at = at.Add(trouble.Delay)
	if trouble.Jitter > 0 {
		at = at.Add(time.Duration(rand.Int63n(int64(trouble.Jitter))))
	}
	if trouble.Delay > 0 {
		atomic.AddInt64(&w.counts.Delayed, 1)
	}
	if at.Before(l.last) {
		at = l.last
	}
	l.last = at
	if !at.After(now) && len(l.queue) == 0 {
		_, _ = w.ports[to].Write(data)
		return
	}
	select {
	case l.queue <- frame{data: append([]byte(nil), data...), at: at}:
	default:
	}
}

func (w *wire) deliver(l *link, port *os.File) {
	for {
		select {
		case <-w.done:
			return
		case f := <-l.queue:
			if wait := time.Until(f.at); wait > 0 {
				time.Sleep(wait)
			}
			_, _ = port.Write(f.data)
		}
	}
}

func (w *wire) set(all map[[2]int]Trouble) {
	for way, l := range w.links {
		l.trouble.Store(all[way])
	}
}

func (w *wire) count() Counts {
	return Counts{Cut: atomic.LoadInt64(&w.counts.Cut), Lost: atomic.LoadInt64(&w.counts.Lost),
		Delayed: atomic.LoadInt64(&w.counts.Delayed), Throttled: atomic.LoadInt64(&w.counts.Throttled)}
}
