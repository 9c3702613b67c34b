"""What a benchmark looks at and how it is written down: processes, figures, tables.

A *row* is a dict: `case`, `variant`, and figures. Figures of several rounds are joined into their
median with the range, and compared with the first variant of the case.
"""
import json
import os
import platform
import statistics
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_s(pids):
    """User and system time of processes so far."""
    spent = 0
    for pid in pids:
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        spent += int(fields[11]) + int(fields[12])
    return spent / TICKS


def rss_bytes(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE


def folder_bytes(folder):
    found = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                found += os.stat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return found


def with_cpu(pids, run):
    """Runs, and adds to its figures what the servers took for each request, in microseconds."""
    before = cpu_s(pids)
    figures = run()
    spent = cpu_s(pids) - before
    requests = figures.get("requests") or 0
    figures["server_cpu_us"] = spent * 1e6 / requests if requests else None
    return figures


def await_ready(what, condition, within_s=60, every_s=0.005):
    """Seconds until the condition holds."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within_s:
            raise RuntimeError("not within %g s: %s" % (within_s, what))
        time.sleep(every_s)
    return time.monotonic() - began


def machine(root):
    def output(*command):
        try:
            return subprocess.run(command, capture_output=True, encoding="utf-8", cwd=root,
                                  timeout=60, check=False).stdout.strip()
        except OSError:
            return ""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "commit": output("git", "rev-parse", "--short=12", "HEAD"),
        "changed": bool(output("git", "status", "--porcelain")),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def join(rounds):
    """One row of several: the median of each figure, and its range."""
    row = {}
    for name in rounds[0]:
        values = [r.get(name) for r in rounds]
        numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if len(numbers) == len(values):
            row[name] = {"median": statistics.median(numbers), "min": min(numbers),
                         "max": max(numbers)}
        elif numbers:
            row[name] = {"median": statistics.median(numbers), "min": min(numbers),
                         "max": max(numbers), "missing": len(values) - len(numbers)}
    return row


def short(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return "{:,.0f}".format(value)
    return "%.3g" % value


def cell(figure):
    if figure is None:
        return "-"
    text = short(figure["median"])
    if figure["min"] != figure["max"]:
        text += " [%s-%s]" % (short(figure["min"]), short(figure["max"]))
    return text


def ratio(row, base, name):
    if row is base or name not in row or name not in base or not base[name]["median"]:
        return "-"
    return "%.2f" % (row[name]["median"] / base[name]["median"])


def table(title, variants, columns, compared):
    """Markdown: a line a variant, a column a figure, and the ratio of `compared` to the first;
    without `compared` the variants are not of a kind."""
    heads = ["variant"] + ["%s" % heading for _, heading in columns]
    with_ratio = compared is not None and len(variants) > 1
    if with_ratio:
        heads.append("ratio")
    lines = ["", "### %s" % title, "", "| " + " | ".join(heads) + " |",
             "|" + " --- |" * len(heads)]
    base = next(iter(variants.values()))
    for name, row in variants.items():
        cells = [name] + [cell(row.get(figure)) for figure, _ in columns]
        if with_ratio:
            cells.append(ratio(row, base, compared))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def table_of_builds(title, builds, columns):
    """Markdown: a line a figure of each variant, a column a build, and the ratio of the last build
    to each before it."""
    *before, last = builds
    heads = ["variant", "figure", *builds]
    heads += ["ratio"] if len(before) == 1 else ["ratio to " + name for name in before]
    lines = ["", "### %s" % title, "", "| " + " | ".join(heads) + " |",
             "|" + " --- |" * len(heads)]
    for variant in dict.fromkeys(name for rows in builds.values() for name in rows):
        rows = {name: found.get(variant, {}) for name, found in builds.items()}
        for figure, heading in columns:
            if any(figure in row for row in rows.values()):
                cells = [variant, heading, *(cell(row.get(figure)) for row in rows.values())]
                cells += [ratio(rows[last], rows[name], figure) for name in before]
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def save(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
    os.replace(path + ".part", path)
