"""muster watch: every event once, whatever happens to the stream."""
import json
import os
import signal
import subprocess
import tempfile
import time

import pytest

from cluster import MUSTER, await_true, clean_environment
from stream_server import STAY, StreamServer, bookmark, event, present, reset, synced

DONE, REFUSED, USAGE, UNREACHABLE = range(4)


class Watch:
    """A running `muster watch`, with its output in files."""

    def __init__(self, *arguments, servers, json_lines=True):
        self.out = tempfile.TemporaryFile()
        self.err = tempfile.TemporaryFile()
        output = ["--output", "json"] if json_lines else []
        self.process = subprocess.Popen(
            [MUSTER, "--server", ",".join(servers), *output, "watch", *arguments],
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err, env=clean_environment())

    @staticmethod
    def read(file):
        return os.pread(file.fileno(), 1 << 24, 0).decode()

    def lines(self):
        return [json.loads(line) for line in self.read(self.out).splitlines(True)
                if line.endswith("\n")]

    def seen(self):
        """(event, instance id) of each line, or the index if there is no id."""
        return [(line["event"], line.get("instance", {}).get("id", line.get("index")))
                for line in self.lines()]

    def errors(self):
        return self.read(self.err)

    def await_seen(self, *expected, within_s=15):
        try:
            await_true("these lines", lambda: len(self.seen()) >= len(expected), within_s)
        finally:
            assert self.seen() == list(expected), self.errors()

    def interrupt(self, sig=signal.SIGINT):
        self.process.send_signal(sig)
        return self.process.wait(15)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
        self.out.close()
        self.err.close()


@pytest.fixture
def watch():
    made = []

    def start(*arguments, **settings):
        made.append(Watch(*arguments, **settings))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def streams():
    made = []

    def start(*scripts):
        made.append(StreamServer(*scripts))
        return made[-1]

    yield start
    for one in made:
        one.close()


# --- against a scripted server ---

def test_a_broken_stream_goes_on_at_the_next_replica_without_repeating(watch, streams):
    a = streams([bookmark("4.0"), event("5.0", "one"), event("5.1", "two")])
    b = streams([event("5.1", "two"), event("6.0", "three"), STAY])
    w = watch("web", servers=[a.url, b.url])
    w.await_seen(("registered", "one"), ("registered", "two"), ("registered", "three"))
    assert a.requests == [("/events?service=web", None)]
    assert b.requests == [("/events?service=web", "5.1")]
    assert a.url in w.errors() and b.url in w.errors()
    assert w.interrupt() == DONE


def test_ids_are_measured_within_their_cluster(watch, streams):
    one, another = 10 << 32, 11 << 32
    a = streams([event("5.%d" % (one + 1), "one")])
    b = streams([event("5.%d" % (one + 1), "one"), event("5.%d" % another, "two"), STAY])
    w = watch("web", servers=[a.url, b.url])
    w.await_seen(("registered", "one"), ("registered", "two"))
    assert b.requests == [("/events?service=web", "5.%d" % (one + 1))]


def test_replicas_that_say_when_to_come_again_are_left_alone_until_then(watch, streams):
    a, b = streams((429, 3), [event("5.0", "one"), STAY]), streams((503, 2))
    w = watch("web", servers=[a.url, b.url])
    w.await_seen(("registered", "one"), within_s=30)
    assert a.times[1] - b.times[0] >= 2
    assert w.interrupt() == DONE


def test_a_bookmark_is_where_it_goes_on(watch, streams):
    a = streams([event("5.0", "one"), bookmark("900.65535")], [event("901.0", "two"), STAY])
    w = watch(servers=[a.url])
    w.await_seen(("registered", "one"), ("registered", "two"))
    assert [last for _, last in a.requests] == [None, "900.65535"]


def test_an_event_that_was_cut_short_is_read_again_whole(watch, streams):
    a = streams([event("5.0", "one"), event("6.0", "two")[:-1]], [event("6.0", "two"), STAY])
    w = watch(servers=[a.url])
    w.await_seen(("registered", "one"), ("registered", "two"))
    assert a.requests[1][1] == "5.0"


def test_a_reset_is_said_plainly(watch, streams):
    a = streams([event("5.0", "one")], [reset("800.0", "the past is gone"), event("801.0", "two"),
                                        STAY])
    w = watch(servers=[a.url])
    w.await_seen(("registered", "one"), ("reset", 800), ("registered", "two"))
    assert "reset" in w.errors() and "the past is gone" in w.errors() and "800" in w.errors()
    assert w.interrupt(signal.SIGTERM) == DONE


def test_after_a_reset_to_an_earlier_index_events_are_not_taken_for_repeated(watch, streams):
    a = streams([event("500.0", "one")], [reset("3.0"), event("4.0", "two"), STAY])
    w = watch(servers=[a.url])
    w.await_seen(("registered", "one"), ("reset", 3), ("registered", "two"))


def test_a_snapshot_after_a_reset_is_not_measured_by_the_old_position(watch, streams):
    a = streams([present("one"), synced("500.0")],
                [reset("3.0").split("\n", 1)[1], present("one"), event("4.0", "two"), synced("4.0"),
                 event("5.0", "three")], [STAY])
    w = watch("--snapshot", servers=[a.url])
    w.await_seen(("present", "one"), ("synced", 500), ("reset", 3), ("present", "one"),
                 ("registered", "two"), ("synced", 4), ("registered", "three"))
    await_true("a third request", lambda: len(a.requests) == 3)
    assert [last for _, last in a.requests] == [None, "500.0", "5.0"]


def test_half_a_snapshot_begins_again_without_a_position(watch, streams):
    a = streams([present("one"), event("7.0", "one", "updated")],
                [present("one"), present("two"), synced("7.0"), event("8.0", "three"), STAY])
    w = watch("--snapshot", servers=[a.url])
    w.await_seen(("present", "one"), ("updated", "one"), ("present", "one"), ("present", "two"),
                 ("synced", 7), ("registered", "three"))
    assert [last for _, last in a.requests] == [None, None]


def test_a_whole_snapshot_goes_on_from_its_position(watch, streams):
    a = streams([present("one"), synced("7.0")], [event("8.0", "two"), STAY])
    w = watch("--snapshot", servers=[a.url])
    w.await_seen(("present", "one"), ("synced", 7), ("registered", "two"))
    assert [last for _, last in a.requests] == [None, "7.0"]


@pytest.mark.parametrize("script", [503, 500, 429, ["data: [1]\n\n"], ["data: {}\n\n"],
                                    ["data: nonsense\n\n"], ["id: " + "9" * 70 + "\n\n"]],
                         ids=str)
def test_a_replica_that_cannot_is_passed_over(watch, streams, script):
    a, b = streams(script, script, script), streams([event("5.0", "one"), STAY])
    w = watch(servers=[a.url, b.url])
    w.await_seen(("registered", "one"))
    assert a.url in w.errors()


def test_what_is_refused_ends_it_with_the_servers_sentence(watch, streams):
    w = watch("--event", "nonsense", servers=[streams(400).url])
    assert w.process.wait(15) == REFUSED
    assert "as told" in w.errors()


def test_options_become_the_question(watch, streams):
    a = streams()
    watch("a b", "--type", "t&", "--id", "i", "--event", "expired", "--event", "reaped", "--after",
          "12.3", "--snapshot", servers=[a.url])
    await_true("a request", lambda: a.requests)
    assert a.requests == [
        ("/events?service=a%20b&type=t%26&id=i&snapshot=true&event=expired&event=reaped", "12.3")]


def test_text_of_others_cannot_play_with_the_terminal_of_a_watcher(watch, streams):
    a = streams([event("5.0", "one", note="\u001b[2J", zone="\u009b"), STAY])
    for json_lines in (True, False):
        a.scripts.insert(0, [event("5.0", "one", note="\u001b[2J\u009b2J"), STAY])
        w = watch(servers=[a.url], json_lines=json_lines)
        await_true("a line", lambda: "\n" in w.read(w.out))
        assert "\u001b" not in w.read(w.out) and "\u009b" not in w.read(w.out)


def test_nobody_there_exits_3():
    done = subprocess.run([MUSTER, "--server", "http://127.0.0.1:1,http://127.0.0.1:2", "--timeout",
                           "300ms", "watch"], capture_output=True, timeout=30, check=False,
                          env=clean_environment())
    assert done.returncode == UNREACHABLE and b"no replica reachable" in done.stderr


# --- against real replicas ---

def test_what_happens_is_printed_for_people(shared, watch, name):
    w = watch(name, servers=[r.url for r in shared], json_lines=False)
    shared[1].register(name, id=name + "-x", host="2001:db8::1")

    def line():
        shared[1].post("/heartbeat", {"id": name + "-x", "status": "warning", "note": str(time.monotonic())})
        return [x.split() for x in w.read(w.out).splitlines()]
    words = await_true("a line", line)[-1]
    assert words[1] in ("registered", "health") and words[2:5] == [name + "-x", name,
                                                                  "[2001:db8::1]:8080"]


def test_a_snapshot_then_events_of_a_real_replica(shared, watch, name):
    for letter in "abc":
        shared[0].register(name, id="%s-%s" % (name, letter))
    shared.wait_same_state()
    w = watch(name, "--snapshot", servers=[r.url for r in shared])
    await_true("the snapshot", lambda: len(w.lines()) >= 4)
    shared[0].request("DELETE", "/instances/%s-b" % name)
    await_true("the event", lambda: len(w.lines()) >= 5)
    assert [(k, str(v)[-1]) for k, v in w.seen()][:3] == [("present", c) for c in "abc"]
    assert w.seen()[3][0] == "synced" and w.seen()[4] == ("deregistered", name + "-b")


def test_no_event_is_missed_or_repeated_while_replicas_are_killed(make_cluster, watch):
    with make_cluster(3) as cluster:
        cluster.start()
        w = watch(servers=[r.url for r in cluster])
        cluster[0].register("web", id="first")

        def told():
            cluster[0].post("/heartbeat", {"id": "first", "status": "warning",
                                           "note": str(time.monotonic())})
            return w.lines()
        await_true("it to follow", told)
        for turn in range(3):
            victim, other = cluster[turn], cluster[(turn + 1) % 3]
            for i in range(40):
                if i == 20:
                    victim.kill()
                assert other.post("/register", {"name": "web", "id": "w-%d-%d" % (turn, i),
                                                "host": "h", "port": 1}, timeout=30).status == 201
            victim.start().wait_ready()
        cluster[0].register("web", id="last")
        await_true("the last event", lambda: w.seen()[-1] == ("registered", "last"), 30)
        truth = cluster[0].events()
        ids = [line["id"] for line in w.lines()]
        every = [e["id"] for e in truth]
        assert ids == every[every.index(ids[0]):]
        assert "reset" not in w.errors()
        assert w.interrupt() == DONE


@pytest.mark.parametrize("arguments", [["a", "b"], [""], ["--after", "x"], ["--after", "5"],
                                       ["--snapshot=yes"]], ids=" ".join)
def test_wrong_usage_of_watch_exits_2(watch, arguments):
    w = watch(*arguments, servers=["http://127.0.0.1:1"])
    assert w.process.wait(15) == USAGE and w.errors()
