#!/usr/bin/env python3
"""Adds up the JUnit files of ctest and pytest and prints one line, the verdict of tests/run.sh.

A ctest test is a whole program; its cases are counted from what cmocka printed. Exits 1 when
anything failed or nothing ran.
"""
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

# cmocka's output for a case. It lists failed and skipped ones again at the end.
CMOCKA = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (?!.*test\(s\))(.+)$", re.MULTILINE)
KINDS = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}


def count_case(case):
    """The numbers of tests passed, failed and skipped in one <testcase>."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    broken = case.find("failure") is not None or case.find("error") is not None
    for word, _ in set(CMOCKA.findall(case.findtext("system-out") or "")):
        counts[KINDS[word]] += 1
    if broken and counts["failed"] == 0:
        counts["failed"] = 1  # not a cmocka program, or it crashed, or a sanitizer stopped it
    elif sum(counts.values()) == 0:
        counts["skipped" if case.find("skipped") is not None else "passed"] = 1
    return counts


def add_up(paths):
    total = {"passed": 0, "failed": 0, "skipped": 0}
    for path in paths:
        if not os.path.exists(path):
            total["failed"] += 1  # the runner died before it could write
            continue
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            for kind, count in count_case(case).items():
                total[kind] += count
    return total


def main():
    total = add_up(sys.argv[1:])
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**total))
    return 1 if total["failed"] > 0 or total["passed"] == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
