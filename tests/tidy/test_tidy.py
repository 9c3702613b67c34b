"""Puts each violation in a small tree, and checks that tidy finds it, and nothing in a clean one."""
import os

import pytest

import tidy

CLEAN = {
    "server/README.md": "# server\n",
    "server/main.c": '#include "api/core/door.h"\n#include "server/node/node.h"\n',
    "server/base/README.md": "# base\n",
    "server/base/log.c": '#include "server/base/log.h"\n/* Not strcpy(a, b). */\n'
                         'const char *text = "gets(x)";\n',
    "consensus/README.md": "# consensus\n",
    "consensus/raft.c": '#include <raft.h>\n#include <uv.h>\n#include "server/base/log.h"\n'
                        'char name[] = "/tmp/a-XXXXXX";\n',
}
WORD = "TO" + "DO"


def findings(tmp_path, extra=None):
    for path, text in {**CLEAN, **(extra or {})}.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return ["%s:%d: %s" % found for found in tidy.check(str(tmp_path))]


def test_a_clean_tree_has_no_findings(tmp_path):
    assert findings(tmp_path) == []


def test_an_empty_tree_is_not_clean(tmp_path):
    assert any("no source file" in str(found) for found in tidy.check(str(tmp_path)))


@pytest.mark.parametrize("call", sorted(tidy.BANNED_CALLS))
def test_a_banned_call_is_found(tmp_path, call):
    found = findings(tmp_path, {"server/base/x.c": "int y;\nvoid f(void) { %s(a, b); }\n" % call})
    assert len(found) == 1 and found[0].startswith("server/base/x.c:2: %s is banned" % call)


@pytest.mark.parametrize("path, include, expected", [
    ("server/base/x.c", '"server/registry/view.h"', "floor 2"),
    ("server/registry/x.c", '"server/wire/entry.h"', "floor 3"),
    ("server/wire/x.c", '"consensus/consensus.h"', "floor 4"),
    ("consensus/x.c", '"server/node/node.h"', "consensus includes only"),
    ("consensus/x.c", '"server/registry/view.h"', "consensus includes only"),
    ("consensus/x.c", '"server/wire/entry.h"', "consensus includes only"),
    ("server/node/x.c", '"api/core/door.h"', "floor 6"),
    ("client/cli/x.c", '"api/core/door.h"', "client includes only"),
    ("server/node/x.c", '"tests/unit/x.h"', "outside of the floors"),
    ("server/node/x.c", '"node.h"', "include from the root"),
    ("api/x.c", "<raft.h>", "raft.h is seen only in consensus/"),
    ("server/node/x.h", "<uv.h>", "uv.h is seen only in consensus/"),
    ("api/x.c", "<msgpack.h>", "msgpack.h is seen only in server/wire/"),
    ("api/x.c", '"server/registry/registry.h"', "server/registry/registry.h is seen only in"),
    ("server/node/x.c", "<microhttpd.h>", "microhttpd.h is seen only in tests/bench/"),
    ("server/node/x.c", "<jansson.h>", "jansson.h is seen only in"),
    ("api/x.c", "<curl/curl.h>", "curl/curl.h is seen only in client/, api/webhook/, api/swarm/"),
])
def test_an_include_in_the_wrong_direction_is_found(tmp_path, path, include, expected):
    readmes = {}
    folder = os.path.dirname(path)
    while folder:
        readmes[folder + "/README.md"] = "# x\n"
        folder = os.path.dirname(folder)
    found = findings(tmp_path, {**readmes, path: "#include %s\n" % include})
    assert len(found) == 1 and found[0].startswith(path + ":1: ") and expected in found[0]


def test_a_file_that_is_too_long_is_found(tmp_path):
    found = findings(tmp_path, {"server/base/x.c": "\n" * 601, "server/base/y.c": "\n" * 600})
    assert found == ["server/base/x.c:601: more than 600 lines: split it"]


def test_a_readme_that_is_too_long_is_found(tmp_path):
    found = findings(tmp_path, {"server/README.md": "\n" * 121})
    assert found == ["server/README.md:121: a README has at most 120 lines"]


@pytest.mark.parametrize("word", tidy.BANNED_WORDS)
def test_a_word_of_unfinished_work_is_found(tmp_path, word):
    found = findings(tmp_path, {"server/base/x.c": "/* %s: later */\n" % word})
    assert len(found) == 1 and word in found[0]


def test_a_folder_without_readme_is_found(tmp_path):
    assert findings(tmp_path, {"server/wire/x.c": ""}) == ["server/wire:0: has no README.md"]


def test_a_folder_that_the_design_does_not_know_is_found(tmp_path):
    found = findings(tmp_path, {"misc/README.md": "# x\n"})
    assert len(found) == 1 and found[0].startswith("misc:0: no such folder")


def test_what_is_built_or_kept_as_data_is_not_looked_at(tmp_path):
    assert findings(tmp_path, {"build/x.c": WORD, "muster-data/1/x.c": WORD,
                               ".git/x.c": WORD}) == []
