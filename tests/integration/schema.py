"""The subset of JSON Schema used by api/openapi.yaml, checked strictly: an undescribed property
is an error, too, so that the description stays complete."""

TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None),
    "integer": int, "number": (int, float),
}


def resolve(document, node):
    while "$ref" in node:
        target = document
        for part in node["$ref"].lstrip("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def merged(document, schema):
    """A schema with its allOf parts folded in."""
    schema = resolve(document, schema)
    if "allOf" not in schema:
        return schema
    whole = {k: v for k, v in schema.items() if k != "allOf"}
    whole["properties"] = dict(whole.get("properties", {}))
    whole["required"] = list(whole.get("required", []))
    for part in schema["allOf"]:
        part = merged(document, part)
        whole["properties"].update(part.get("properties", {}))
        whole["required"] += part.get("required", [])
        for key, value in part.items():
            whole.setdefault(key, value)
    return whole


def problems(document, schema, value, at="answer"):
    """The violations of the schema in `value`, as messages."""
    schema = merged(document, schema)
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            tries = [problems(document, s, value, at) for s in schema[choice]]
            return [] if [] in tries else tries[0]
    kinds = schema.get("type")
    if kinds is not None:
        kinds = kinds if isinstance(kinds, list) else [kinds]
        if value is None and schema.get("nullable"):
            return []
        fits = any(isinstance(value, TYPES[kind]) and not (
            isinstance(value, bool) and kind in ("integer", "number")) for kind in kinds)
        if not fits:
            return ["%s: %r is no %s" % (at, value, "/".join(kinds))]
    if "enum" in schema and value not in schema["enum"]:
        return ["%s: %r is none of %s" % (at, value, schema["enum"])]
    found = []
    if isinstance(value, dict):
        found += object_problems(document, schema, value, at)
    if isinstance(value, list) and "items" in schema:
        for n, item in enumerate(value):
            found += problems(document, schema["items"], item, "%s[%d]" % (at, n))
    return found


def object_problems(document, schema, value, at):
    found = ["%s: no %s" % (at, name) for name in schema.get("required", []) if name not in value]
    known = schema.get("properties", {})
    rest = schema.get("additionalProperties", not known)
    for name, item in value.items():
        if name in known:
            found += problems(document, known[name], item, "%s.%s" % (at, name))
        elif isinstance(rest, dict):
            found += problems(document, rest, item, "%s.%s" % (at, name))
        elif not rest:
            found.append("%s: %s is not described" % (at, name))
    return found
