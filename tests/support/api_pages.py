"""The API documents as pages for people: one table per noun, made of the same document that is served."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
ROW = "| {} | {} | {} | {} | {} |"


def page(document: Json) -> str:
    """The markdown of one service's document."""
    info, servers = document["info"], [server["url"] for server in document["servers"]]
    lines = [
        f"# {info['title']} {info['version']}", "",
        "Made of `@operation` by `WOLKE_GOLDEN=write pytest tests/api/test_openapi.py`; do not edit. Shapes are in the JSON document beside it.",
    ]  # fmt: skip
    if servers != ["/"]:
        lines += ["", "Paths stand behind " + " or ".join(f"`{url}`" for url in servers) + "."]
    lines += ["", "`*`: hears `Idempotency-Key`. `–`: needs no token. Policy `by path`: a token is all it takes, or the path says who may."]
    tables: dict[str, list[str]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tables[operation["tags"][0]] += _rows(document, path, method, operation)
    for tag in document["tags"]:
        lines += [
            "",
            f"## {tag['name']}",
            tag["description"],
            "",
            ROW.format("", "path", "what", "policy", "parameters"),
            "|---|---|---|---|---|",
        ]
        lines += tables[tag["name"]]
    lines += _shapes(document["components"]["schemas"])
    return "\n".join(lines) + "\n"


def _rows(document: Json, path: str, method: str, operation: Json) -> Iterator[str]:
    keyed = any(part.get("$ref", "").endswith("/IdempotencyKey") for part in operation.get("parameters", ()))
    verb = method.upper() + ("*" if keyed else "") + (" –" if operation.get("security") == [] else "")
    statuses = ", ".join(status for status in operation["responses"] if status != "default")
    query = ", ".join(f"`{part['name']}`" for part in operation.get("parameters", ()) if part.get("in") == "query")
    for variant in _variants(operation):
        range_ = variant.get("x-openstack", {})
        key = f" `{range_['action-name']}`" if "action-name" in range_ else ""
        since = "".join(f" {word} {range_[name]}" for name, word in (("min-ver", "from"), ("max-ver", "to")) if name in range_)
        what = variant.get("description") or operation.get("summary", "")
        what += f" {variant.get('x-wolke-status', statuses)}"
        policies = [variant.get("x-wolke-policy") or "by path", *variant.get("x-wolke-guarded", ())]
        yield ROW.format(verb, f"`{path}`{key}{since}", what, ", ".join(policies), query).replace("|  |", "| |")


def _variants(operation: Json) -> list[Json]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = content.get("schema", {})
    return [item for item in schema.get("oneOf", schema.get("anyOf", ())) if "description" in item] or [{
        name: value for name, value in operation.items() if name.startswith("x-")
    }]  # fmt: skip


def _shapes(schemas: Json) -> list[str]:
    if not schemas:
        return []
    lines = ["", "## Shapes", "", "| shape | attributes (**always there**) |", "|---|---|"]
    for name, schema in sorted(schemas.items()):
        required = schema.get("required", ())
        words = [f"**{part}**" if part in required else part for part in schema.get("properties", ())]
        lines.append(f"| {name} | {', '.join(words)} |")
    return lines
