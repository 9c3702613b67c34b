package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"
)

// diskBytes is the size of a replica's own file system: small, so that it can be filled.
const diskBytes = 256 << 20

// Disk is an ext4 file system in a file, mounted for one replica alone: it can be filled, frozen, and
// lose power without any other program noticing.
type Disk struct {
	image, mount string
	mounted      bool
}

func newDisk(folder string, n int) (*Disk, error) {
	d := &Disk{image: filepath.Join(folder, fmt.Sprintf("disk-%d.img", n)),
		mount: filepath.Join(folder, fmt.Sprintf("disk-%d", n))}
	if err := os.MkdirAll(d.mount, 0o755); err != nil {
		return nil, err
	}
	file, err := os.Create(d.image)
	if err != nil {
		return nil, err
	}
	if err := file.Truncate(diskBytes); err != nil {
		file.Close()
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	if err := run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image); err != nil {
		return nil, err
	}
	return d, d.Mount()
}

// Mount mounts it; after a power loss this replays its journal.
func (d *Disk) Mount() error {
	if d.mounted {
		return nil
	}
	if err := run("mount", "-o", "loop", d.image, d.mount); err != nil {
		return err
	}
	d.mounted = true
	return nil
}

// Unmount waits for processes that are still dying, and until no other mount namespace has a copy of the
// mount (ip netns exec makes one): the next Mount would give the same file system, still without power.
func (d *Disk) Unmount() error {
	if !d.mounted {
		return nil
	}
	var err error
	for try := 0; try < 50; try++ {
		if err = run("umount", d.mount); err == nil {
			d.mounted = false
			return d.awaitDetached()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

func (d *Disk) awaitDetached() error {
	for try := 0; try < 100; try++ {
		out, err := exec.Command("losetup", "--associated", d.image).Output()
		if err == nil && len(out) == 0 {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("%s is unmounted, but some other mount namespace still holds it", d.mount)
}

// CutPower stops all I/O at once: EXT4_IOC_SHUTDOWN without a flush of the log. Unsynced data
// is lost; every later access is an I/O error until it is mounted again.
func (d *Disk) CutPower() error {
	const ext4IocShutdown, noLogFlush = 0x8004587d, 2
	folder, err := os.Open(d.mount)
	if err != nil {
		return err
	}
	defer folder.Close()
	flags := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, folder.Fd(), ext4IocShutdown,
		uintptr(unsafe.Pointer(&flags))); errno != 0 {
		return fmt.Errorf("EXT4_IOC_SHUTDOWN: %w", errno)
	}
	return nil
}

func (d *Disk) hog() string { return filepath.Join(d.mount, "hog") }

// Fill uses up all space.
func (d *Disk) Fill() error {
	file, err := os.OpenFile(d.hog(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	var offset int64
	for _, step := range []int64{8 << 20, 1 << 20, 64 << 10, 4 << 10} {
		for syscall.Fallocate(int(file.Fd()), 0, offset, step) == nil {
			offset += step
		}
	}
	return nil
}

// Clear frees the space, durably.
func (d *Disk) Clear() error {
	if err := os.Remove(d.hog()); err != nil && !os.IsNotExist(err) {
		return err
	}
	return run("sync", "-f", d.mount)
}

// Freeze blocks every write until Thaw, like a stuck disk. A process that waits for it
// cannot even be killed.
func (d *Disk) Freeze() error { return run("fsfreeze", "-f", d.mount) }

// Thaw undoes Freeze.
func (d *Disk) Thaw() error { return run("fsfreeze", "-u", d.mount) }
