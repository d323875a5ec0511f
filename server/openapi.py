"""The API described in OpenAPI, from its operations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from pydantic.json_schema import models_json_schema

from .operations import Operation
from .schemas import ANSWERS, REF, TEXT, UUID, Schema

_TEMPLATE = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)\}")
_ERRORS = {
    400: "The request contradicts itself.",
    404: "There is no such thing, or not for this user.",
    409: "It contradicts what is the case.",
    413: "The body is too long.",
    422: "A field cannot be used.",
    429: "A limit is reached: try again after `Retry-After` seconds.",
    503: "The server does not take it now: try again after `Retry-After` seconds.",
}
_PATH = {"thread_id": UUID, "run_id": UUID}
_GUARDS = {401: "Authenticate first.", 403: "This user may not."}

DOCS = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>callboard: the API</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: auto; padding: 1rem }
summary { cursor: pointer } code, pre { font-family: ui-monospace, monospace }
pre { overflow: auto; padding: .5rem; background: #8882 }
b { display: inline-block; min-width: 4.5rem }
</style>
<h1>The API</h1>
<p>The LangGraph Platform API, described in <a href="openapi.json">OpenAPI</a>.</p>
<main></main>
<script>
fetch("openapi.json").then(r => r.json()).then(api => {
  const main = document.querySelector("main"), tags = {};
  for (const [path, methods] of Object.entries(api.paths))
    for (const [method, op] of Object.entries(methods))
      (tags[op.tags[0]] ??= []).push([method, path, op]);
  for (const [tag, operations] of Object.entries(tags)) {
    main.append(Object.assign(document.createElement("h2"), {textContent: tag}));
    for (const [method, path, op] of operations) {
      const details = document.createElement("details");
      const summary = document.createElement("summary"), code = document.createElement("code");
      const name = document.createElement("b"), pre = document.createElement("pre");
      name.textContent = method.toUpperCase();
      code.append(name, path);
      summary.append(code, " " + op.summary);
      pre.textContent = JSON.stringify(op, null, 2);
      details.append(summary, pre);
      main.append(details);
    }
  }
});
</script>
</html>
"""
"""A page that shows the description, by itself."""


def description(operations: Sequence[Operation], root: str = "") -> dict[str, Any]:
    """The whole document.

    Args:
        operations: what there is.
        root: the path that the server is mounted under.

    """
    operations = [each for each in operations if 501 not in each.answers]  # it is not there
    bodies = sorted({each.body for each in operations if each.body}, key=lambda b: b.__name__)
    _, defined = models_json_schema(
        [(body, "validation") for body in bodies], ref_template=_TEMPLATE
    )
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "callboard",
            "description": "The LangGraph Platform API over callboard.",
            "version": version("callboard"),
        },
        **({"servers": [{"url": root}]} if root else {}),
        "paths": paths,
        "components": {"schemas": {**defined.get("$defs", {}), **ANSWERS}},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{operation.method} {operation.path}").strip("_"),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.body is not None:
        schema = REF(operation.body.__name__)
        if operation.many:
            schema = {"type": "array", "items": schema, "minItems": 1}
        fields = operation.body.model_fields.values()
        described["requestBody"] = {
            "required": operation.many or any(field.is_required() for field in fields),
            "content": {"application/json": {"schema": schema}},
        }
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": _PATH.get(name, TEXT)}
        for name in _PARAMETER.findall(operation.path)
    ]
    in_query = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in operation.query.items()
    ]
    return in_path + in_query


def _responses(operation: Operation) -> dict[str, Any]:
    answers = {
        str(status): _response("As asked.", schema)
        for status, schema in (operation.answers or {200: None}).items()
    }
    faults = _ERRORS if operation.public else {**_ERRORS, **_GUARDS}
    return answers | {
        str(status): _response(text, REF("Error"))
        for status, text in sorted(faults.items())
        if str(status) not in answers
    }


def _response(text: str, schema: Schema | None) -> dict[str, Any]:
    if schema is None:
        return {"description": text}
    media = schema.get("x-media-type", "application/json")
    return {"description": text, "content": {media: {"schema": schema}}}
