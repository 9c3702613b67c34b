"""Places that must name each row of a table (.def): finds those where a new row was forgotten. tidy.py runs
it. What a compiler or a unit test finds is not here.
"""
import os
import re

COMMANDS = "server/registry/commands.def"
EVENTS = "server/registry/events.def"
FIELDS = "server/registry/fields.def"

# table: the start of a row; the places below use its groups.
ROWS = {
    COMMANDS: re.compile(r"^(?:OWN_)?COMMAND\((?P<KIND>\w+), \w+, (?P<number>\d+),", re.MULTILINE),
    EVENTS: re.compile(r'^EVENT\((?P<KIND>\w+), "(?P<name>\w+)",', re.MULTILINE),
    FIELDS: re.compile(r'^(?:FIRST_TEXT|TEXT|NUMBER)\(\w+, "(?P<name>\w+)",', re.MULTILINE),
}
# (table, file or folder, the part to search, the pattern for each row)
PLACES = (
    (COMMANDS, "server/wire/README.md", r"\| kind \| fields \|\n.*?\n\n", r"\| {number} {words} \|"),
    (COMMANDS, "tests/fuzz/fuzz_twin.c", None, r"COMMAND_{KIND}\b"),
    (COMMANDS, "tests/fuzz/seeds.py", None, r'b"\\x{hex}"'),
    (EVENTS, "api/openapi.yaml", r"\n    EventKind:\n.*?\n    \w", r"\b{name}\b"),
    (EVENTS, "client/cli/main.c", r'"One line an event.*?;', r"\b{name}\b"),
    (EVENTS, "client/cli/muster.bash", r"--event\) words=.*", r"\b{name}\b"),
    (EVENTS, "api/ui/page/strings.js", r"kinds: \{[^}]*\}", r"\b{name}:"),
    (EVENTS, "client/lib", None, r'\{{"{name}", MUSTER_'),
    (EVENTS, "tests/sim/model.c", None, r"case EVENT_{KIND}:"),
    (FIELDS, "api/openapi.yaml", r"\n    Registration:\n.*?\n    \w", r"\n        {name}:"),
    (FIELDS, "api/openapi.yaml", r"\n    Instance:\n.*?\n    \w", r"\n        {name}:"),
    (FIELDS, "client/lib", None, r'"{name}"'),
    (FIELDS, "server/wire/README.md", r"\*\*Registration\*\*:.*?\n\n", r"\b{name}\b"),
)


def text_of(root, path):
    """Of a file, or of all sources of a folder; empty if there is none."""
    whole = os.path.join(root, path)
    names = [whole]
    if os.path.isdir(whole):
        names = [os.path.join(whole, n) for n in sorted(os.listdir(whole)) if n.endswith(".c")]
    texts = []
    for name in names:
        if os.path.isfile(name):
            with open(name, encoding="utf-8") as file:
                texts.append(file.read())
    return "\n".join(texts)


def part_of(text, pattern):
    if pattern is None:
        return text
    match = re.search(pattern, text, re.DOTALL if "?" in pattern else 0)
    return match.group() if match else ""


def rows_of(root, table):
    found = [match.groupdict() for match in ROWS[table].finditer(text_of(root, table))]
    for row in found:
        row["hex"] = "%02x" % int(row.get("number", 0))
        row["words"] = row.get("KIND", "").lower().replace("_", " ")
    return found


def check(root):
    """All violations as (path, line, message)."""
    found = []
    if not os.path.isfile(os.path.join(root, "server/registry/command.h")):
        return found
    for table in ROWS:
        if not rows_of(root, table):
            found.append((table, 0, "has no row that tests/tidy/tables.py knows"))
    for table, place, part, form in PLACES:
        text = part_of(text_of(root, place), part)
        for row in rows_of(root, table):
            wanted = form.format(**row)
            if not re.search(wanted, text):
                name = row.get("name") or row["KIND"]
                found.append((place, 0, "`%s` of %s is missing: nothing matches %s"
                              % (name, table, wanted)))
    return found
