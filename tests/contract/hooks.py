"""Rules that OpenAPI cannot express, and protection of the replica under test: no membership changes, no long
waits."""
import json

import schemathesis

WAIT = "10ms"
UUID_BYTES = 37  # of an id derived from a name


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.operation.path == "/tokens/bootstrap":
        # Refused, as from behind a proxy: else nothing would be open any more.
        case.headers = {**(case.headers or {}), "X-Forwarded-For": "192.0.2.1"}
    drop_namespace(case)
    if isinstance(case.query, dict):
        case.query = fit_query(case.operation, dict(case.query))
    if isinstance(case.body, dict) and case.operation.path == "/register":
        case.body = fit_registration(dict(case.body))
        if case.meta is not None and case.meta.generation.mode.is_positive:
            case.body = fit_checks(case.body)
    if isinstance(case.body, dict) and "server_id" in case.body:
        case.body = {k: v for k, v in case.body.items() if is_kept(k, v)}


def drop_namespace(case):
    """Two different ones are refused, and one that is too long together with an id or a name."""
    body = case.body if isinstance(case.body, dict) else {}
    texts = [str(t) for t in (case.path_parameters or {}).values()] + [v for v in body.values() if isinstance(v, str)]
    is_long = any(len(text.encode("utf-8", "surrogatepass")) > 255 - 2 - 63 for text in texts)
    if is_long and isinstance(case.query, dict):
        case.query = {k: v for k, v in case.query.items() if k != "ns"}
    if case.headers and (is_long or isinstance(case.query, dict) and "ns" in case.query):
        case.headers = {k: v for k, v in case.headers.items() if k.lower() != "x-muster-namespace"}
    if case.operation.path in ("/tokens", "/policies") and (body.get("operator") or body.get("metrics")):
        case.body = {k: v for k, v in body.items() if k != "namespace"}  # of the whole cluster


def fit_query(operation, query):
    if "meta.KEY" in query:
        query["meta.k"] = query.pop("meta.KEY")
    if operation.path.startswith("/cluster/") and operation.method.upper() != "GET":
        # Only as a dry run, unless the value must be refused.
        if query.get("dry_run") in (None, False, "false"):
            query["dry_run"] = "true"
    if "index" in query and ("wait" not in query or is_duration(query["wait"])):
        query["wait"] = WAIT
    if "index" not in query and is_duration(query.get("wait")):
        del query["wait"]  # it needs index
    if query.get("snapshot") in (True, "true"):
        del query["snapshot"]  # of streams, which do not end
    return query


def is_duration(value):
    text = str(value)
    return any(text.endswith(unit) and text[:len(text) - len(unit)].replace(".", "", 1).isdigit()
               for unit in ("ms", "s", "m", "h", ""))


def fit_registration(body):
    metadata, name = body.get("metadata"), body.get("name")
    if isinstance(metadata, dict):
        body["metadata"] = {k: v for k, v in metadata.items() if is_key(k)}
    if isinstance(name, str) and body.get("id") is None and 255 - UUID_BYTES < len(name) <= 255:
        body["name"] = name[:64]
    if body.get("unique_type") is True and not body.get("type"):
        del body["unique_type"]  # it needs a type
    return body


TARGETS = {"http": "http://127.0.0.1:1/", "tcp": "127.0.0.1:1", "grpc": "127.0.0.1:1/a.B"}


def fit_checks(body):
    """A check asks one thing, at a place that there is; what goes with others is not for it. The bounds of each field are
    tested in tests/integration/test_checks_defined.py."""
    if not body.get("checks") and body.get("ttl") in (0, "0", "0s"):
        body = {k: v for k, v in body.items() if k != "ttl"}  # only with checks
    if body.get("checks") is None:
        return body
    checks = []
    for number, check in enumerate(body["checks"][:16]):
        kind = next((k for k in TARGETS if check.get(k) is not None), "tcp")
        if check.get("ttl") is not None and kind == "tcp":
            fitted = {"ttl": 30}
        else:
            fitted = {kind: TARGETS[kind]}
            fitted |= {k: check[k] for k in ("rise", "fall") if check.get(k) is not None}
        fitted |= {k: check[k] for k in ("name", "notes", "status") if k in check}
        checks.append({**fitted, "id": "check-%d" % number})
    # A declared health, and a type that must be the only one, do not go with checks.
    return {**{k: v for k, v in body.items() if k not in ("health", "unique_type")}, "checks": checks}


def is_kept(key, value):
    """What the older registry's calls do not know they ignore, as long as the library can read it: neither NUL
    nor a number beyond 64 bits."""
    if key in ("server_id", "url", "port", "ip"):
        return True
    return not isinstance(value, (int, float, dict, list)) and "\\u0000" not in json.dumps([key, value])


def is_key(key):
    return 1 <= len(key.encode("utf-8", "replace")) <= 128 and key.isprintable() and key.strip() != ""
