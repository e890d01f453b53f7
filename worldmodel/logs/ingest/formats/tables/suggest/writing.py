"""Writes a suggested recipe as TOML, with a comment for each doubt."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables.recipe import Clock
from worldmodel.logs.ingest.formats.tables.suggest.clocks import FoundClock
from worldmodel.logs.ingest.formats.tables.suggest.stream import Found, Suggested

DOUBT = "# doubt: "
NO_COMMANDS = 'no column is called a command: kind = "action" for what was commanded, or no model can tell what it does'


class Part(NamedTuple):
    """What was found in one file of a recording.

    Attributes:
        file: its name, or the pattern that means it; empty where it is the only one.
        clock: its clock.
        found: its streams.
        optional: whether recordings may lack it.
    """

    file: str
    clock: FoundClock
    found: Found
    optional: bool = False


def written(path: Path, parts: Sequence[Part], doubts: Sequence[str] = (), drop: bool = False) -> str:
    """A recipe as TOML, which drops fields that are no numbers if it is to.

    Raises:
        RecipeError: if there is no stream.
    """
    if not any(part.found.streams for part in parts):
        left_out = "; ".join(text for part in parts for text in part.found.left_out)
        raise RecipeError(f"{path} has no columns of numbers beside its clock.", found=left_out)
    first = parts[0].clock
    lines = [
        f"# Suggested for {_one_line(path.name)} from its columns and values: read each line before trusting it.",
        'format = "worldmodel-recipe"', "version = 1", *['unreadable = "drop"'] * drop, "",
        *_doubts(dict.fromkeys(doubts)), "[clock]", *_doubts(first.doubts), *_clock(first.clock),
    ]  # fmt: skip
    if parts[0].found.key and not parts[0].file:
        key = parts[0].found.key
        lines += ["", *_doubts([f"each value of {key} is taken for an episode"]), "[cut]", f"key = {_text(key)}"]
    if not any(stream.kind == "action" for part in parts for stream in part.found.streams):
        lines += ["", *_doubts([NO_COMMANDS])]
    for part in parts:
        own = [doubt for doubt in part.clock.doubts if doubt not in first.doubts]
        told = [*part.found.left_out, *(f"{part.file}: {doubt}" for doubt in own)]
        lines += ["", *_doubts(told)] if told else []
        for stream in part.found.streams:
            lines += ["", *_doubts(f"{stream.name}: {doubt}" for doubt in stream.doubts), *_stream(stream)]
            lines += [f"file = {_text(part.file)}"] if part.file else []
            lines += ["optional = true"] * part.optional
            if part.clock.clock != first.clock:
                lines += [f"clock = {{ {', '.join(_clock(part.clock.clock, first.clock))} }}"]
    return "\n".join(lines) + "\n"


def doubts_of(text: str) -> list[str]:
    """The doubts that a suggested recipe has."""
    return [line.removeprefix(DOUBT) for line in text.splitlines() if line.startswith(DOUBT)]


def _doubts(texts) -> list[str]:  # type: ignore[no-untyped-def]
    return [f"{DOUBT}{_one_line(text)}" for text in texts]


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)


def _clock(clock: Clock, inherited: Clock | None = None) -> list[str]:
    """The keys of a clock, but those that are as usual, or as in the clock that it inherits from."""
    if not clock.columns:
        return [f"period_s = {clock.period_s!r}"]
    columns = _text(clock.columns[0]) if len(clock.columns) == 1 else f"[{', '.join(map(_text, clock.columns))}]"
    lines = [f"column = {columns}", f"unit = {_text(clock.unit)}", f"origin = {_value(clock.origin)}"]
    usual = inherited or Clock(())
    for key in ("week", "fraction", "fraction_unit", "dates", "duplicates"):
        value = getattr(clock, key)
        lines += [f"{key} = {_value('' if value is None else value)}"] * (value != getattr(usual, key))
    return lines


def _stream(stream: Suggested) -> list[str]:
    columns = ", ".join(f"{_key(c.name)} = {_text(c.source)}" for c in stream.columns)
    lines = [f"[streams.{_key(stream.name)}]", f"kind = {_text(stream.kind)}", f"columns = {{ {columns} }}"]
    lines += _each("units", [c.unit for c in stream.columns])
    lines += _each("from_units", [c.from_unit for c in stream.columns])
    if any(c.circular for c in stream.columns):
        lines.append(f"circular = [{', '.join(str(c.circular).lower() for c in stream.columns)}]")
    rate = repr(float(stream.rate_hz)).removesuffix(".0") if stream.rate_hz else '"measured"'
    lines.append(f"rate_hz = {rate}")
    lines += [f"where = {_value(stream.where)}"] * bool(stream.where)
    lines += ["held = true"] * stream.held
    lines += [f"hemispheres = [{', '.join(map(_text, stream.hemispheres))}]"] * bool(stream.hemispheres)
    return lines + ([f"frame = {_text(stream.frame)}"] if stream.frame else [])


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(key)} = {_value(own)}' for key, own in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _each(key: str, values: Sequence[str]) -> list[str]:
    if not any(values):
        return []
    same = len(set(values)) == 1
    return [f"{key} = {_text(values[0])}" if same else f"{key} = [{', '.join(map(_text, values))}]"]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
