"""schema: the part of JSON Schema 2020-12 that docs/result.schema.json uses; a keyword beyond it is an error.
`strict` also refuses properties that the schema does not name."""
import re

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
SILENT = {"$schema", "$id", "$defs", "title", "description"}


def is_type(value, name):
    return isinstance(value, TYPES[name]) and not (name == "integer" and isinstance(value, bool))


def errors(value, rule, root, strict=True, where="$"):
    """Yields one text per violation."""
    if "$ref" in rule:
        yield from errors(value, root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root, strict, where)
    for word, what in rule.items():
        if word in SILENT or word in ("$ref", "properties"):
            continue
        if word == "type":
            names = [what] if isinstance(what, str) else what
            bad = not any(is_type(value, n) for n in names)
        elif word == "enum":
            bad = value not in what
        elif word == "const":
            bad = value != what
        elif word in ("minimum", "maximum"):
            bad = is_type(value, "integer") and (value < what if word == "minimum" else value > what)
        elif word == "pattern":
            bad = isinstance(value, str) and not re.search(what, value)
        elif word == "maxItems":
            bad = isinstance(value, list) and len(value) > what
        elif word == "uniqueItems":
            bad = isinstance(value, list) and len(set(map(repr, value))) < len(value)
        elif word == "required":
            bad = isinstance(value, dict) and [n for n in what if n not in value]
        elif word == "items":
            for i, item in enumerate(value if isinstance(value, list) else []):
                yield from errors(item, what, root, strict, f"{where}[{i}]")
            bad = False
        else:
            raise ValueError(f"{where}: keyword {word} is not known here")
        if bad:
            yield f"{where}: {word} {what}: {value!r}"
    if isinstance(value, dict) and "properties" in rule:
        for name, item in value.items():
            if name in rule["properties"]:
                yield from errors(item, rule["properties"][name], root, strict, f"{where}.{name}")
            elif strict:
                yield f"{where}: {name} is not in the schema"
