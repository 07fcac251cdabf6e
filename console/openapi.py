"""The OpenAPI 3.1 document of the endpoints, written from what they say of themselves; served at `/api/openapi.json`."""

import inspect
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from console.problems import MEDIA_TYPE, Details
from console.routes import Call, Endpoint, NoQuery, Route

PATH: Final = "/api/openapi.json"
_REF: Final = "#/components/schemas/{name}"
_ALWAYS: Final = (400, 401, 421, 500)
_CHANGING: Final = (403, 413, 415)
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_DESCRIPTION: Final = """\
What became of events, users, jobs and mails, from any worker. Without the token addresses and payloads are masked; what changes \
something needs it. Without a token set, only this machine is answered."""


def openapi_route(routes: Iterable[Route]) -> Endpoint:
    """The endpoint that serves the document of `routes`, and of itself."""

    async def show(call: Call[NoQuery, None]) -> dict[str, Any]:
        return document

    this = Endpoint(PATH, show, "This document.", dict[str, Any])
    document = describe([*(route for route in routes if isinstance(route, Endpoint)), this])
    return this


def describe(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The document, as JSON."""
    types = [Details, *(kind for one in endpoints for kind in (one.answer, one.query, one.body) if kind is not None)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = dict(zip(map(id, types), schemas, strict=True))
    queries = {one.query.__name__ for one in endpoints}
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        parameters = components[one.query.__name__]
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, parameters, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Chopar", "version": "1", "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in queries},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "CHOPAR_API_TOKEN"}},
        },
    }


def _operation(endpoint: Endpoint, parameters: dict[str, Any], schemas: dict[int, dict[str, Any]]) -> dict[str, Any]:
    changing = _CHANGING if endpoint.method == "POST" else ()
    problems = sorted({*_ALWAYS, *changing, *endpoint.problems})
    answer = {} if endpoint.answer is None else {"content": {endpoint.media_type: {"schema": schemas[id(endpoint.answer)]}}}
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.method.lower()}{re.sub(r'[^a-z]+', '_', endpoint.path.lower()).rstrip('_')}",
        "summary": endpoint.summary,
        "description": inspect.getdoc(endpoint.query) or "",
        "parameters": [*map(_in_path, _PARAMETER.findall(endpoint.path)), *_in_query(parameters)],
        "security": [{"token": []}] if endpoint.changes else [{}, {"token": []}],
        "responses": {
            "200": {"description": inspect.getdoc(endpoint.answer) or "The answer.", **answer},
            **{str(status): _problem(status, schemas) for status in problems},
        },
    }
    if endpoint.body is not None:
        content = {"application/json": {"schema": schemas[id(endpoint.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _in_query(struct: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": name in struct.get("required", ()), "schema": _without_null(schema)}
        for name, schema in struct["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is not there is not null."""
    if "anyOf" not in schema:
        return schema
    (only,) = (one for one in schema["anyOf"] if one != {"type": "null"})
    return dict(only)


def _problem(status: int, schemas: dict[int, dict[str, Any]]) -> dict[str, Any]:
    found = {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schemas[id(Details)]}}}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        found["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return found
