"""TOML files that people write, read key by key so that each mistake is named."""

import difflib
import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worldmodel.errors import WorldModelError

REQUIRED: Any = object()
_WIDTH = 90


class TomlTable:
    """A table whose keys are taken one by one; what is left over at the end was misspelt.

    Args:
        path: the file, for messages.
        where: the table's dotted name with a dot at its end, empty for the whole file.
        values: its content.
        error: the exception to raise.
    """

    def __init__(self, path: Path, where: str, values: dict[str, Any], error: type[WorldModelError]) -> None:
        self.path, self.where, self._left, self._error = path, where, dict(values), error
        self._known: list[str] = []

    @classmethod
    def read(cls, path: Path, error: type[WorldModelError]) -> "TomlTable":
        """Reads a file.

        Raises:
            WorldModelError: of the type `error`, if it is not valid TOML.
        """
        try:
            return cls(path, "", tomllib.loads(path.read_text(encoding="utf-8")), error)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise error(f"{path} is not valid TOML.", found=str(problem), remedy="mend that line") from problem

    def error(self, key: str, expected: str, found: object) -> WorldModelError:
        """What is wrong with a key, to raise."""
        shown = "nothing" if found is REQUIRED else repr(found)
        return self._error(f"{self.path}: the key {self.where}{key} is wrong.", expected=expected, found=shown)

    def take(self, key: str, kind: type | tuple[type, ...], expected: str, default: Any = REQUIRED) -> Any:
        """The value of a key, which must be of a kind."""
        self._known.append(key)
        value = self._left.pop(key, default)
        right = isinstance(value, kind) and not (isinstance(value, bool) and kind not in (bool, object))
        if value is REQUIRED or (value is not default and not right):
            raise self.error(key, expected, value)
        return value

    def number(self, key: str, expected: str, default: Any = REQUIRED, least: float = float("-inf")) -> Any:
        """A finite number that is at least `least`; or the default."""
        value = self.take(key, (int, float), expected, default)
        if value is not default and not least <= value < float("inf"):
            raise self.error(key, expected, value)
        return value if value is default else float(value)

    def pair(self, key: str, expected: str, default: Any = REQUIRED) -> tuple[float, float]:
        """Two numbers [low, high] in order."""
        value = self.take(key, list, expected, default)
        if value is default:
            return value
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value)
        if len(value) != 2 or not numbers or not value[0] <= value[1]:
            raise self.error(key, expected, value)
        return float(value[0]), float(value[1])

    def check_format(self, name: str, version: int) -> None:
        """Refuses a file of another format or version."""
        self.choose("format", (name,))
        found = self.take("version", int, str(version))
        if found != version:
            raise self.error("version", str(version), found)

    def choose(self, key: str, choices: tuple[str, ...], default: Any = REQUIRED) -> str:
        """One of several words."""
        value = self.take(key, str, " or ".join(choices), default)
        if value not in choices:
            raise self.error(key, " or ".join(choices), value)
        return value

    def table(self, key: str, default: Any = REQUIRED) -> "TomlTable":
        """A table within this one."""
        values = self.take(key, dict, f"a table [{self.where}{key}]", default)
        return TomlTable(self.path, f"{self.where}{key}.", values, self._error)

    def per_column(self, key: str, kind: type | tuple[type, ...], what: str, count: int, default: Any) -> list[Any]:
        """One value for all columns, or a list with one for each."""
        value = self.take(key, object, what, default)
        values = value if isinstance(value, list) else [value] * count
        right = all(isinstance(v, kind) and (kind is bool or not isinstance(v, bool)) for v in values)
        if len(values) != count or not right:
            raise self.error(key, f"{what}, or a list of {count}", value)
        return values

    @property
    def names(self) -> list[str]:
        """The keys that have not been taken."""
        return list(self._left)

    def finish(self) -> None:
        """Refuses the first key that nobody took."""
        for key in self._left:
            close = difflib.get_close_matches(key, self._known, 1)
            hint = f"did you mean {close[0]!r}?" if close else ""
            expected = ", ".join(self._known)
            raise self._error(f"{self.path}: the key {self.where}{key} is not known.", expected=expected, remedy=hint)


def quoted(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def table(name: str, comment: str, values: Mapping[str, Any]) -> str:
    """A TOML table of text, numbers, and lists of them, under comment lines. Its name is dotted and of bare words."""
    return f"{comment}[{name}]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return _list([_value(item) for item in value])
    return str(value).lower() if isinstance(value, bool) else repr(int(value) if value == int(value) else value)


def _list(items: list[str]) -> str:
    """A list on one line, or on as many as it needs."""
    if sum(map(len, items)) < _WIDTH:
        return f"[{', '.join(items)}]"
    lines = [""]
    for item in items:
        lines += [""] if len(lines[-1]) + len(item) > _WIDTH else []
        lines[-1] += f" {item},"
    return "[\n   " + "\n   ".join(lines) + "\n]"
