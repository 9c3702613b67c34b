"""Load over HTTP/1.1 and HTTP/2 by nghttp2's h2load."""
import re
import subprocess
import tempfile

from cluster import clean_environment


def h2load(url, seconds, clients, streams, body=None, fields=(), version="h2c"):
    """Clients that ask one request after the other on each of their streams, for some seconds. Without a time to warm up, as
    those requests would count in the servers' CPU time and not among the requests."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(body or b"")
        file.flush()
        command = ["h2load", "-D", str(seconds), "-c", str(clients), "-m", str(streams), "-t", "1"]
        command += ["--h1"] if version == "1.1" else []
        command += ["-d", file.name] if body is not None else []
        for name, value in fields:
            command += ["-H", "%s: %s" % (name, value)]
        done = subprocess.run([*command, url], stdout=subprocess.PIPE, encoding="utf-8", timeout=seconds + 60,
                              env=clean_environment(), check=True).stdout
    rate = float(re.search(r"finished in [^,]*, ([\d.]+) req/s", done).group(1))
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", done)
    good = re.search(r"status codes: (\d+) 2xx", done)
    return {"requests": int(counts.group(1)), "per_second": rate,
            "failed": int(counts.group(2)) + int(counts.group(3)) + int(counts.group(1)) - int(good.group(1))}
