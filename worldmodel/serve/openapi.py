"""The OpenAPI document of a server: what the streams are, and how it is asked."""

from typing import Any

from worldmodel.foreteller import Foreteller
from worldmodel.serve.limits import Limits
from worldmodel.serve.wire import BINARY
from worldmodel.types import StreamSpec
from worldmodel.version import __version__

_NUMBERS: dict[str, Any] = {"type": "array", "items": {"type": "number"}}
_SINCE = {
    "name": "since_s", "in": "query", "required": False, "schema": {"type": "number"},
    "description": "The moment; by default the newest tick alone is told of.",
}  # fmt: skip


def document(run: Foreteller, limits: Limits, token: bool) -> dict[str, Any]:
    """OpenAPI 3.1."""
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "worldmodel", "version": __version__, "description": "Asks a world model of a machine."},
        "paths": {
            "/healthz": {"get": _get("Whether it is there.")},
            "/metrics": {"get": _get("Counters, for Prometheus.")},
            "/openapi.json": {"get": _get("This document.")},
            "/run": {"get": _get("Who is asked: streams, ticks, limits, notes.")},
            "/imagine": {"post": _post("Imagine what comes after samples that are sent along.", "Question", "Future")},
            "/sessions": {"post": _post("Begin a session for a machine that pushes.", None, "Opened")},
            "/sessions/{id}": {"get": _get("What a session holds.", True), "delete": _get("End a session.", True)},
            "/sessions/{id}/samples": {"post": _post("Push samples.", "Samples", "Held", True)},
            "/sessions/{id}/imagine": {"post": _post("Imagine from the newest sample.", "Asked", "Future", True)},
            "/sessions/{id}/alarms": {"get": _get("Alarms of each tick after a moment.", True, _SINCE)},
        },
        "components": {"schemas": _schemas(run, limits)},
    }
    if token:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def _schemas(run: Foreteller, limits: Limits) -> dict[str, Any]:
    layout = run.layout
    asked = {
        "actions": _object({s.name: _samples(s) for s in layout.actions}),
        "at_s": {"type": "number", "description": "The moment; by default that of the newest sample."},
        "horizon_s": {"type": "number", "exclusiveMinimum": 0, "default": run.horizon_ticks(None) * layout.dt},
        "members": {"type": "integer", "minimum": 1, "maximum": limits.members, "default": 16},
        "seed": {"type": "integer", "minimum": 0, "default": 0},
        "frames": {"type": "boolean", "default": False},
    }
    streams = _object({s.name: _samples(s) for s in layout.streams})
    imagined = {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Imagined"}}
    return {
        "Samples": _object({"streams": streams}, "streams"),
        "Asked": _object(asked),
        "Question": _object({"streams": streams, **asked}, "streams"),
        "Imagined": _object({"time": _NUMBERS, "data": {"type": "array", "description": "[M, members, columns]"}}),
        "Future": {
            "type": "object",
            "properties": {"start_s": {"type": "number"}, "streams": imagined, "trust": {"type": "object"}},
        },
        "Opened": _object({"id": {"type": "string"}, "idle_s": {"type": "number"}}),
        "Held": {"type": "object", "description": "The tick, ages of streams, what came late, what was dropped."},
        "Error": _object({"error": {"type": "string"}}, "error"),
    }


def _samples(spec: StreamSpec) -> dict[str, Any]:
    units = ", ".join(f"{c} ({u})" if u else c for c, u in zip(spec.columns, spec.units, strict=True))
    what = f"{spec.kind}, {spec.rate_hz:g} Hz: {units}; null where a reading is missing. {spec.description}".strip()
    return {**_object({"time": _NUMBERS, "data": {"type": "array"}}, "time", "data"), "description": what}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    found = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | ({"required": list(required)} if required else {})


def _get(summary: str, named: bool = False, *also: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "Done."}, **_failures()}, **_named(named, *also)}


def _post(summary: str, takes: str | None, gives: str, named: bool = False) -> dict[str, Any]:
    found = {
        "summary": summary,
        "responses": {"200": {"description": "Done.", "content": _content(gives)}, **_failures()},
        **_named(named),
    }
    return found | ({"requestBody": {"required": True, "content": _content(takes)}} if takes else {})


def _named(named: bool, *also: dict[str, Any]) -> dict[str, Any]:
    one = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {"parameters": [one, *also]} if named else {}


def _content(schema: str) -> dict[str, Any]:
    return {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"}} for kind in ("application/json", BINARY)}


def _failures() -> dict[str, Any]:
    return {"default": {"description": "A mistake, and what to do.", "content": _content("Error")}}
