"""Puts each thing that could wait forever in a small tree, and checks that it is found."""
import os

import pytest

import limits

INI = "[pytest]\ntimeout = 120\nrequired_plugins = pytest-timeout\n"
CLEAN = {
    "tests/pytest.ini": INI,
    "tests/x/test_x.py": "import pytest\n\n\n@pytest.mark.timeout(300)  # slow\ndef test_x():\n"
                         "    open('x', 'rb').read()\n    ', '.join(['a'])\n",
    "tests/run.sh": "#!/bin/sh\n# ctest and pytest and go test\ncp python3-pytest ctests /tmp\n"
                    "timeout 9 \\\n    python3 -m pytest x\nctest --timeout 120 -j2\n",
    "CMakeLists.txt": "# add_test(NAME a)\nadd_test(NAME ${name} COMMAND ${name})\n"
                      "set_tests_properties(${name} PROPERTIES LABELS a TIMEOUT 120)\n",
}


def findings(tmp_path, extra=None):
    files = {path: text for path, text in {**CLEAN, **(extra or {})}.items() if text is not None}
    for path, text in files.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    visible = [path for path in files if not path.startswith(".")]
    return ["%s:%d: %s" % found for found in limits.check(str(tmp_path), visible)]


def test_a_tree_with_all_limits_has_no_findings(tmp_path):
    assert findings(tmp_path) == []


def test_this_project_has_its_limits_where_the_check_looks_for_them():
    """Or a check that looks at nothing would pass."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    assert list(limits.check_pytest_ini(root)) == []
    text = limits.read(root, "tests/run.sh")
    assert limits.is_script(text) and limits.is_script(limits.read(root, ".ci/run"))
    assert any(limits.RUNNERS[0][0].search(command) for _, command in limits.commands(text))
    assert list(limits.check_script(text.replace("timeout --foreground", "nice")))
    assert list(limits.check_cmake(limits.read(root, "CMakeLists.txt").replace("TIMEOUT", "COST")))


@pytest.mark.parametrize("path", ["tests/x/run.sh", "tests/x/run", ".ci/run"])
@pytest.mark.parametrize("command, expected", [
    ("python3 -m pytest tests/x", "pytest runs under"),
    ("\"$python\" -m pytest \\\n    x", "pytest runs under"),
    ("sleep 1; pytest-3 x", "pytest runs under"),
    ("timeout 9 true; pytest x", "pytest runs under"),
    ("ctest --preset asan", "ctest has"),
    ("ctest --timeout 0", "ctest has"),
    ("cd jepsen && go test ./...", "go test has"),
    ("go test -timeout 0 ./...", "go test has"),
    ('"$build/fuzz_$what" -runs=0', "fuzz target"),
    ('if ! "${build}/fuzz_x"; then', "fuzz target"),
    ("timeout 0 python3 -m pytest x", "taken away"),
    ("timeout 9 python3 -m pytest --timeout=0 x", "taken away"),
    ("timeout 9 python3 -m pytest -p no:timeout x", "taken away"),
    ("timeout 9 python3 -m pytest -o timeout=0 x", "taken away"),
    ("timeout 9 python3 -m pytest -c other.ini x", "taken away"),
])
def test_a_runner_without_a_limit_is_found(tmp_path, path, command, expected):
    found = findings(tmp_path, {path: "#!/usr/bin/env bash\n" + command + "\n"})
    assert found and all(f.startswith(path + ":2: ") for f in found), found
    assert any(expected in f for f in found), found


@pytest.mark.parametrize("text", [
    "add_test(NAME a COMMAND a)\n",
    "add_test(a a)\nset_tests_properties(b PROPERTIES TIMEOUT 9)\n",
    "add_test(NAME a COMMAND a)\nset_tests_properties(a PROPERTIES LABELS x)\n",
    "add_test(NAME a COMMAND a)\n# set_tests_properties(a PROPERTIES TIMEOUT 9)\n",
    "add_test(NAME a COMMAND a)\nset_tests_properties(a PROPERTIES TIMEOUT 0)\n",
    "add_test(NAME a COMMAND a)\nset_tests_properties(a PROPERTIES TIMEOUT 99999)\n",
])
def test_a_test_of_ctest_without_a_limit_is_found(tmp_path, text):
    found = findings(tmp_path, {"CMakeLists.txt": text})
    assert len(found) == 1 and found[0].startswith("CMakeLists.txt:1: the test a has no TIMEOUT")


@pytest.mark.parametrize("text", [None, "", "[pytest]\n", INI.replace("120", "0"),
                                  INI.replace("120", "never"), INI.replace("120", "86400"),
                                  INI.replace("required_plugins = pytest-timeout\n", "")])
def test_tests_in_python_without_a_limit_are_found(tmp_path, text):
    found = findings(tmp_path, {"tests/pytest.ini": text})
    assert found and all(f.startswith("tests/pytest.ini:0: ") for f in found), found


@pytest.mark.parametrize("name", limits.OTHER_INI)
def test_a_file_that_would_take_the_place_of_the_limit_is_found(tmp_path, name):
    assert len(findings(tmp_path, {"tests/x/" + name: "[pytest]\n"})) == 1


@pytest.mark.parametrize("line, expected", [
    ("subprocess.run(['a'], check=True)", "has a timeout"),
    ("subprocess.check_output(['a'])", "has a timeout"),
    ("x.wait()", "has a timeout"),
    ("x.join()", "has a timeout"),
    ("x.communicate()", "has a timeout"),
    ("x.communicate(b'')", "has a timeout"),
    ("x.stdout.readline()", "read_line"),
    ("x.y.stderr.read()", "read_line"),
    ("pytest.mark.timeout(0)", "a mark of"),
    ("pytest.mark.timeout(None)", "a mark of"),
    ("pytest.mark.timeout(86400)", "a mark of"),
    ("subprocess.Popen(['a'], text=True)", "encoding"),
    ("open('x')", "encoding"),
    ("open('x', 'w')", "encoding"),
    ("open('x', mode='a')", "encoding"),
    ("path.read_text()", "encoding"),
    ("path.write_text('x')", "encoding"),
])
def test_python_that_waits_for_ever_or_reads_as_the_locale_has_it_is_found(tmp_path, line, expected):
    found = findings(tmp_path, {"tests/x/help.py": "x = 1\n%s\n" % line})
    assert len(found) == 1 and found[0].startswith("tests/x/help.py:2: ") and expected in found[0]


@pytest.mark.parametrize("line", [
    "subprocess.run(['a'], timeout=9)", "x.wait(9)", "x.join(9)", "x.communicate(timeout=9)",
    "subprocess.Popen(['a'])", "open('x', 'rb')", "open('x', encoding='ascii')",
    "path.read_text(encoding='utf-8')", "pytest.mark.timeout(9)", "pytest.mark.timeout(timeout=9)",
])
def test_python_with_its_limit_is_not_found(tmp_path, line):
    assert findings(tmp_path, {"tests/x/help.py": line + "\n"}) == []
