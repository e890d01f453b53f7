"""What is commanded over a horizon: what the log holds, or what the user gives."""

import csv
import difflib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.logs.align import ROUNDING_S, TickLayout, commands
from worldmodel.logs.windows import Windows
from worldmodel.types import Commands, Samples, StreamSpec

Given = Mapping[str, Samples] | Path | str


def logged_ahead(windows: Windows, row: int, horizon: int) -> Commands:
    """The actions [H, A] that left ticks `row` ... `row + horizon - 1` of the only episode of `windows`.

    Raises:
        WorldModelError: if the log ends too early.
    """
    layout = windows.layout
    logged = Commands(*(x[row : row + horizon] for x in windows.ticks[0].actions))
    if len(logged.values) < horizon:
        raise WorldModelError(
            f"Episode {windows.episodes[0]} ends before the horizon, so its actions do not reach that far.",
            expected=f"{horizon * layout.dt:.2f} s after {layout.time_s(row):.2f} s",
            found=f"{len(logged.values) * layout.dt:.2f} s",
            remedy="choose an earlier moment, a shorter horizon, or give --actions",
        )
    return logged


def commanded_until(windows: Windows, until_s: float) -> dict[str, Samples]:
    """By stream what was commanded up to a moment of the only episode of `windows`."""
    recorded = windows.log.episodes[windows.episodes[0]].streams
    return {spec.name: recorded[spec.name][: until_s + ROUNDING_S] for spec in windows.layout.actions}


def continued(
    before: Mapping[str, Samples], layout: TickLayout, row: int, horizon: int, given: Given | None, offset_s: float
) -> Commands:
    """The actions [H, A] that leave tick `row` and those after it, as they are given.

    Args:
        before: by stream what was commanded up to then; it holds until the first that is given.
        layout: the streams and the tick.
        row: the tick that the horizon begins at.
        horizon: in ticks.
        given: by action stream, with times in seconds after the tick plus `offset_s`, or a CSV file of them; None
            where what is in force holds.
        offset_s: how long after the tick the given times begin.

    Raises:
        WorldModelError: if the given actions do not fit.
    """
    if isinstance(given, str | Path):
        given = read_actions(Path(given), layout.actions)
    if given is not None:
        _check_names(given, layout.actions)
        given = {spec.name: _checked(spec, given[spec.name]) for spec in layout.actions}
    parts = {}
    for spec in layout.actions:
        held = Samples(before[spec.name].time - layout.time_s(row), before[spec.name].data)
        parts[spec.name] = held if given is None else _joined(held, given[spec.name], offset_s)
    if given is not None:
        _check_reach(given, layout.actions, horizon * layout.dt - offset_s)
    return commands(parts, layout, np.arange(horizon) * layout.dt)


def _joined(held: Samples, given: Samples, offset_s: float) -> Samples:
    """What was commanded until the first of what is given, and then that."""
    time = np.asarray(given.time, np.float64) + offset_s
    in_force = held.time < time[0]
    return Samples(np.concatenate([held.time[in_force], time]), np.concatenate([held.data[in_force], given.data]))


def _check_names(given: Mapping[str, Samples], actions: Sequence[StreamSpec]) -> None:
    """Refuses actions for other streams than there are, or not for all."""
    names = [spec.name for spec in actions]
    wrong = [f"There is no action {name!r}." for name in given if name not in names]
    wrong += [f"No actions are given for {name!r}." for name in names if name not in given]
    if wrong:
        raise WorldModelError(wrong[0], expected=", ".join(names) or "none", found=", ".join(given) or "none")


def _checked(spec: StreamSpec, given: Samples) -> Samples:
    if not (isinstance(given, tuple) and len(given) == 2):
        raise WorldModelError(
            f"The actions for {spec.name!r} are no samples.",
            expected=f"Samples(time, data): seconds after the moment [M], and values [M, {len(spec.columns)}]",
            found=type(given).__name__,
        )
    time, data = map(np.asarray, given)
    if data.shape[1:] != spec.sample_shape:
        raise WorldModelError(
            f"The actions for {spec.name!r} have the wrong width.",
            expected=f"[M, {len(spec.columns)}]: {', '.join(spec.columns)}",
            found=str(data.shape),
        )
    if len(time) != len(data):
        raise WorldModelError(f"The actions for {spec.name!r} have {len(time)} times and {len(data)} values.")
    _check_times(f"The actions for {spec.name!r}", time)
    return Samples(time, data)


def _check_reach(given: Mapping[str, Samples], actions: Sequence[StreamSpec], end_s: float) -> None:
    """Refuses actions that all begin when the horizon is over: nothing of them would be imagined."""
    first = min((float(given[spec.name].time[0]) for spec in actions), default=0.0)
    if first >= end_s:
        raise WorldModelError(
            "No given action begins within the horizon.",
            expected=f"times from 0 s, and one before {end_s:.2f} s at least",
            found=f"the first at {first:.2f} s",
            remedy="give seconds after the moment that is imagined from, or a longer horizon",
        )


def _check_times(what: str, time: np.ndarray) -> None:
    if not len(time) or not np.isfinite(time).all() or (np.diff(time) <= 0).any():
        found = "times that do not increase" if len(time) else "no rows"
        raise WorldModelError(f"{what} cannot be used.", found=found, remedy="mend them")


def _check_header(path: Path, names: list[str], columns: list[str]) -> None:
    """Refuses a header with other columns than `time` and those of the actions."""
    unknown, lacking = (list(x.elements()) for x in _apart(Counter(names), Counter(["time", *columns])))
    if unknown or lacking:
        more = f"a column {unknown[0]!r} that no action has" if unknown else f"no column {lacking[0]!r}"
        close = difflib.get_close_matches(unknown[0], lacking, 1) if unknown else []
        raise WorldModelError(
            f"{path} has {more}.",
            expected=f"a header with time (seconds from the start) and {', '.join(columns)}",
            found=", ".join(names),
            remedy=f"did you mean {close[0]!r}?" if close else "",
        )


def _apart(one: Counter[str], other: Counter[str]) -> tuple[Counter[str], Counter[str]]:
    """What each has more than the other."""
    return one - other, other - one


def read_actions(path: Path, specs: tuple[StreamSpec, ...]) -> dict[str, Samples]:
    """Actions from a CSV file with a column `time` (seconds) and one for each column of `specs`.

    A column is called as in its stream, or with that before it: `steering`, `drive.steering`, or of numbered ones
    `drive[0]`. Where several streams have one of that name, the stream has to be told. Between fields are commas,
    semicolons or tabs; numbers may have a comma for a point where none has a point.

    Raises:
        WorldModelError: if it cannot be read, or lacks a column or has one too many.
    """
    columns, called = _names_of(specs)
    try:
        header, rows = _fields_in(path)
        names = [called.get(name, name) for name in header]
        table = np.array([[float(field) for field in row] for row in rows]).reshape(len(rows), len(names))
    except (OSError, ValueError, csv.Error) as error:
        raise WorldModelError(
            f"{path} cannot be read as CSV.",
            expected="a number in each field, such as 0.5, and as many in each line as in the header",
            found=str(error).splitlines()[0],
            remedy="write it with commas, semicolons or tabs between fields",
        ) from error
    _check_header(path, names, list(itertools.chain(*columns.values())))
    time = table[:, names.index("time")]
    _check_times(f"What {path} holds", time)
    if not (np.abs(table) < np.finfo(np.float32).max).all():
        problem, found = f"What {path} holds cannot be used.", "a value that is no number, or beyond float32"
        raise WorldModelError(problem, found=found, remedy="mend the file")
    return {name: Samples(time, table[:, [names.index(c) for c in own]]) for name, own in columns.items()}


def _fields_in(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header of a text file and its rows, whose numbers have points."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        lines = csv.reader(file, skipinitialspace=True, delimiter=next((d for d in "\t;" if d in header), ","))
        names, rows = next(lines, [""]), [row for row in lines if any(map(str.strip, row))]
    text = "".join(itertools.chain(*rows))
    if "," in text and "." not in text:
        rows = [[field.replace(",", ".") for field in row] for row in rows]
    return [name.strip() for name in names], rows


def _names_of(specs: Sequence[StreamSpec]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """By stream what its columns are called in a file, and by other names for these the same."""
    counts = Counter(column for spec in specs for column in spec.columns)
    columns, called = dict[str, list[str]](), dict[str, str]()
    for spec in specs:
        columns[spec.name] = [c if counts[c] == 1 else f"{spec.name}.{c}" for c in spec.columns]
        for column, name in zip(spec.columns, columns[spec.name], strict=True):
            called |= {f"{spec.name}.{column}": name, f"{spec.name}[{column}]": name}
    return columns, {other: name for other, name in called.items() if other not in counts}
