"""Makes a cycle of each kind, and checks that it is found, and nothing where there is none."""
import pytest

import graph


def findings(tmp_path, files):
    for path, targets in files.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join('#include "%s"\n' % t for t in targets), encoding="utf-8")
    return ["%s: %s" % (path, sentence) for path, _, sentence in graph.check(str(tmp_path),
                                                                            sorted(files))]


def test_a_tree_without_circles_is_clean(tmp_path):
    assert findings(tmp_path, {"server/base/a.h": [], "server/base/a.c": ["server/base/a.h"],
                               "server/node/b.h": ["server/base/a.h"],
                               "server/node/b.c": ["server/node/b.h", "server/base/a.h"]}) == []


def test_headers_that_include_each_other_are_found(tmp_path):
    found = findings(tmp_path, {"api/a.h": ["api/b.h"], "api/b.h": ["api/c.h"],
                                "api/c.h": ["api/a.h"]})
    assert "api/a.h: files in a circle: api/a.h, api/b.h, api/c.h" in found


def test_modules_that_use_each_other_are_found(tmp_path):
    found = findings(tmp_path, {"api/a.h": [], "api/b.h": [], "api/a.c": ["api/b.h"],
                                "api/b.c": ["api/a.h"]})
    assert found == ["api/a: modules in a circle: api/a, api/b"]


@pytest.mark.parametrize("inside", ["server/node/internal.h", "consensus/engine.h"])
def test_a_source_may_see_the_inside_of_its_room(tmp_path, inside):
    room = inside.rsplit("/", 1)[0]
    assert findings(tmp_path, {room + "/a.h": [], inside: [room + "/a.h"],
                               room + "/a.c": [room + "/a.h", inside]}) == []


def test_a_header_may_not_see_the_inside_that_is_made_of_it(tmp_path):
    found = findings(tmp_path, {"server/node/internal.h": ["server/node/a.h"],
                                "server/node/a.h": ["server/node/internal.h"]})
    assert len(found) == 2


def test_rooms_that_use_each_other_are_found(tmp_path):
    found = findings(tmp_path, {"consensus/disk/a.c": ["consensus/b.h"],
                                "consensus/b.h": [], "consensus/c.c": ["consensus/disk/d.h"]})
    assert found == ["consensus: rooms in a circle: consensus, consensus/disk"]
