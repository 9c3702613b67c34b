"""The contents of a data directory, and ways to damage it. consensus/disk/README.md has the format;
here is only what the tests need for aiming."""
import glob
import os
import struct

SECTOR = 512
FRAME_HEADER = 64
FRAME_MAGIC = b"\xffMW\xfe"
SEGMENT_BYTES = 16 << 20
(STATE, ENTRY, TRUNCATE, RESET) = (1, 2, 3, 4)  # records in a frame


def segments(replica):
    """Segments of the log with content, oldest first, without a preallocated one."""
    return [path for path in sorted(glob.glob(os.path.join(replica.data, "log-*")))
            if used_bytes(path) > 0]


def snapshots(replica):
    return sorted(glob.glob(os.path.join(replica.data, "snapshot-*")))


def used_bytes(path):
    """The length of a file's content; segments are preallocated with zeros."""
    with open(path, "rb") as file:
        return len(file.read().rstrip(b"\0"))


def flip_bit(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def truncate(path, size):
    with open(path, "r+b") as file:
        file.truncate(size)


def clear(path, at, size):
    """Like sectors that were never written."""
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(bytes(size))


def frames(segment):
    """(offset, bytes up to the end of its last sector) of each frame, in order."""
    with open(segment, "rb") as file:
        data = file.read()
    found, at = [], 0
    while data[at:at + 4] == FRAME_MAGIC:
        (length,) = struct.unpack_from("<I", data, at + 8)
        size = -(-(FRAME_HEADER + length) // SECTOR) * SECTOR
        found.append((at, size))
        at += size
    return found


def records(segment, kind):
    """The number of records of this kind in a segment."""
    with open(segment, "rb") as file:
        data = file.read()
    count = 0
    for start, size in frames(segment):
        frame_kind, length, total = struct.unpack_from("<HII", data, start + 6)
        (mask,) = struct.unpack_from("<Q", data, start + 32)
        if frame_kind != 2:
            continue
        words = struct.unpack_from("<%dQ" % ((size - FRAME_HEADER) // 8), data,
                                   start + FRAME_HEADER)
        payload = struct.pack("<%dQ" % len(words), *(word ^ mask for word in words))[:length]
        at = 0
        for _ in range(total):
            record_kind, record_length = struct.unpack_from("<BxxxI", payload, at)
            count += record_kind == kind
            at += 32 + -(-record_length // 8) * 8
        assert at == length
    return count
