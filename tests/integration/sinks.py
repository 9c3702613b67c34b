"""What must hold of a sink of events, whatever goes wrong: each event at least once, first
occurrences in order, none missing."""
import threading

from cluster import await_true


def event_key(event_id):
    index, _, position = event_id.partition(".")
    return int(index), int(position)


def first_occurrences(ids):
    seen = dict.fromkeys(ids)
    return list(seen)


def check_complete(got, events):
    """`got`: ids as they came. `events`: what the registry has. Returns the number of repetitions."""
    wanted = [e["id"] for e in events]
    firsts = [i for i in first_occurrences(got) if i in set(wanted)]
    assert firsts == sorted(firsts, key=event_key), "first occurrences are not in order"
    missing = set(wanted) - set(firsts)
    assert not missing, "%d of %d events never came: %s" % (len(missing), len(wanted), sorted(missing)[:5])
    return len(got) - len(set(got))


def await_complete(got, replica, within_s=30):
    """Waits until the last event that there is now has come; then all before it must have."""
    events = replica.events()
    last = events[-1]["id"]
    await_true("event %s comes" % last, lambda: last in got(), within_s, 0.1)
    return check_complete(got(), events)


class Writer:
    """Registers and deregisters at whichever replica answers, while everything else fails."""

    def __init__(self, cluster, name="web", pause_s=0.005):
        self.cluster, self.name, self.pause_s = cluster, name, pause_s
        self.done = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join(60)

    def _run(self):
        number = 0
        while not self._ends.wait(self.pause_s):
            number += 1
            for replica in self.cluster:
                try:
                    body = {"name": self.name, "host": "10.0.0.1", "port": 80, "ttl": "1h",
                            "id": "%s-%d" % (self.name, number % 50), "metadata": {"n": str(number)}}
                    if replica.post("/register", body, timeout=5).status in (200, 201):
                        self.done += 1
                        break
                except (OSError, ValueError):
                    continue
