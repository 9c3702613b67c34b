"""Tests end by themselves and give the same result on every machine: finds those that could wait forever,
and texts read in the locale's encoding. tidy.py runs it.

Limits are where they cannot be forgotten: for each Python test in tests/pytest.ini, for each ctest test
in CMakeLists.txt, for a whole runner in the script that starts it.
"""
import ast
import configparser
import os
import re

TEST_LIMIT_MAX_S = 1800
PYTEST_INI = "tests/pytest.ini"
# Files that pytest would use instead of tests/pytest.ini.
OTHER_INI = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")

# (a command in a script, what it must contain, the message)
RUNNERS = (
    (re.compile(r"(?:^|[\s\"'/])(?:py\.test|pytest(?:-3)?)(?=[\s\"']|$)"),
     re.compile(r"\btimeout\b[^|;&]*\bpytest\b"),
     "pytest runs under `timeout`, for what its own limit of each test cannot end"),
    (re.compile(r"(?:^|[\s\"'/])ctest(?=\s|$)"), re.compile(r"--timeout[ =](?:[1-9]|\"?\$)"),
     "ctest has --timeout SECONDS"),
    (re.compile(r"\bgo test\b"), re.compile(r"-timeout[ =][1-9]"), "go test has -timeout"),
    (re.compile(r"^\s*(?:if |! )*\"?\$\{?build\}?/fuzz_"), re.compile(r"(?!)"),
     "a fuzz target runs under `timeout`"),
)
UNLIMITED = re.compile(r"-p[ =]?no:timeout|--timeout[ =]0\b|-timeout[ =]0\b|\btimeout 0\b"
                       r"|(?:-o|--override-ini)[ =]?[\"']?(?:timeout|required_plugins)"
                       r"|\bpytest\b.* (?:-c|--config-file|--rootdir)\b")
SUBPROCESS = ("run", "call", "check_call", "check_output")
WAITS = ("wait", "join", "communicate")


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def is_limit(text):
    return text is not None and re.fullmatch(r"\d+", text.strip()) is not None and \
        0 < int(text) <= TEST_LIMIT_MAX_S


# --- shell ---

def commands(text):
    """(line, command) of a shell script: without comments, continued lines joined."""
    start, joined = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if not joined:
            start = number
        line = re.sub(r"(^|\s)#.*", r"\1", line)
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        yield start, joined + line
        joined = ""
    if joined:
        yield start, joined


def check_script(text):
    for line, command in commands(text):
        for runner, limit, sentence in RUNNERS:
            if runner.search(command) and not limit.search(command):
                yield line, sentence
        if UNLIMITED.search(command):
            yield line, "a limit is taken away: %s" % UNLIMITED.search(command).group()


# --- CMake ---

def check_cmake(text):
    code = re.sub(r"#[^\n]*", lambda match: " " * len(match.group()), text)
    limited = {}
    for match in re.finditer(r"set_tests_properties\s*\(\s*(\S+)([^)]*)\)", code):
        limit = re.search(r"\bTIMEOUT\s+(\S+)", match.group(2))
        limited[match.group(1)] = limit is not None and is_limit(limit.group(1))
    for match in re.finditer(r"\badd_test\s*\(\s*(?:NAME\s+)?([^\s)]+)", code):
        if not limited.get(match.group(1)):
            yield line_of(code, match.start()), "the test %s has no TIMEOUT of 1 to %d s" % (
                match.group(1), TEST_LIMIT_MAX_S)


# --- Python ---

def check_pytest_ini(root):
    """What holds for each test that pytest runs."""
    parser = configparser.ConfigParser()
    parser.read(os.path.join(root, PYTEST_INI), encoding="utf-8")
    section = parser["pytest"] if parser.has_section("pytest") else {}
    if not is_limit(section.get("timeout")):
        yield "gives no test a limit: timeout of 1 to %d" % TEST_LIMIT_MAX_S
    if "pytest-timeout" not in section.get("required_plugins", "").split():
        yield "without required_plugins = pytest-timeout its limit means nothing where that is missing"


def mark_problem(call):
    """What is wrong with a pytest.mark.timeout(...); None: nothing."""
    given = call.args[:1] or [k.value for k in call.keywords if k.arg == "timeout"]
    if given and isinstance(given[0], ast.Constant) and is_limit(str(given[0].value)):
        return None
    return "a mark of 1 to %d s" % TEST_LIMIT_MAX_S


def mode_of(call):
    mode = call.args[1:2] or [k.value for k in call.keywords if k.arg == "mode"]
    return mode[0].value if mode and isinstance(mode[0], ast.Constant) else "r"


def call_problem(call):
    """What is wrong with one call; None: nothing."""
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    keywords = {k.arg: k.value for k in call.keywords}
    nothing_given = not call.args and not keywords
    if name.startswith("subprocess.") and last in SUBPROCESS and "timeout" not in keywords:
        return "%s has a timeout" % name
    if last in WAITS and isinstance(call.func, ast.Attribute) and (
            nothing_given or (last == "communicate" and "timeout" not in keywords)):
        return ".%s() has a timeout" % last
    if re.search(r"\.std(out|err)\.(readline|read)$", name):
        return "cluster.read_line() in place of a %s() that may never come" % last
    if name.endswith("pytest.mark.timeout"):
        return mark_problem(call)
    if any(word in keywords for word in ("text", "universal_newlines")):
        return 'encoding="utf-8" in place of the locale\'s text=True'
    textual = name == "open" and "b" not in mode_of(call) or last in ("read_text", "write_text")
    if textual and "encoding" not in keywords:
        return "%s() has an encoding" % last
    return None


def check_python(text):
    def visit(node):
        if isinstance(node, ast.FunctionDef) and node.name == "read_line":
            return  # the only exception, since a timer ends a silent process
        if isinstance(node, ast.Call):
            problem = call_problem(node)
            if problem:
                yield node.lineno, problem
        for child in ast.iter_child_nodes(node):
            yield from visit(child)
    yield from visit(ast.parse(text))


# --- all ---

def is_script(text):
    return re.match(r"#!.*\b(?:ba)?sh\b", text) is not None


def check(root, paths):
    """All violations as (path, line, message)."""
    hidden = [".ci/" + name for name in sorted(os.listdir(os.path.join(root, ".ci")))
              ] if os.path.isdir(os.path.join(root, ".ci")) else []
    found = []
    for path in list(paths) + hidden:
        text = read(root, path)
        if is_script(text):
            found += [(path, *problem) for problem in check_script(text)]
        elif os.path.basename(path) == "CMakeLists.txt" or path.endswith(".cmake"):
            found += [(path, *problem) for problem in check_cmake(text)]
        elif path.endswith(".py"):
            found += [(path, *problem) for problem in check_python(text)]
        elif os.path.basename(path) in OTHER_INI and path != PYTEST_INI:
            found.append((path, 0, "would take the place of %s" % PYTEST_INI))
    if any(re.search(r"^tests/.*test_\w+\.py$", path) for path in paths):
        found += [(PYTEST_INI, 0, problem) for problem in check_pytest_ini(root)]
    return found
