"""The logs of a problem: simulated, or ingested and split into what trains and what tests."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from worldmodel.benchmark.problem import BenchmarkProblem, Recorded, Simulated
from worldmodel.errors import WorldModelError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.reader import Episode, Log, Stream
from worldmodel.logs.writer import LogWriter
from worldmodel.simulate import simulate
from worldmodel.types import Samples, StreamSpec

_HELD_OUT_SEED, _OUTAGE_SEED = 10_000, 20_000  # far from any training seed: no world is in two logs
_OUTAGES, _ROOM = 24, 2.4  # episodes, and how long each is beside the outage
_BY_COLUMN = ("columns", "units", "noise_std", "circular")


class Logs(NamedTuple):
    """What trains, by its name what tests, and what positions are taken away from."""

    train: Path
    tests: dict[str, Path]
    outage: Path | None = None


def sources(problem: BenchmarkProblem, data: Path | None) -> list[Path]:
    """The recordings of a problem below the folder `data`; none of a simulated one.

    Raises:
        WorldModelError: if it needs recordings that are not there.
    """
    if isinstance(problem.logs, Simulated):
        return []
    remedy = f"datasets/{problem.logs.card}.md says where they can be had; or leave {problem.name} out of --problems"
    expected = f"a folder with {problem.logs.files}"
    if data is None:
        raise WorldModelError(
            f"The problem {problem.name} needs recordings.", expected=f"--data FOLDER, {expected}", remedy=remedy
        )
    if not data.is_dir():
        raise WorldModelError(f"The folder of recordings {data} does not exist.", expected=expected, remedy=remedy)
    out = [file for file in sorted(data.glob(problem.logs.files)) if not _any(file.name, problem.logs.leave_out)]
    if not out:
        raise WorldModelError(
            f"{data} lacks the recordings of {problem.name}.",
            expected=expected,
            found=", ".join(sorted(path.name for path in data.iterdir())[:8]) or "nothing",
            remedy=remedy,
        )
    return out


def make_logs(problem: BenchmarkProblem, folder: Path, seed: int, files: Sequence[Path]) -> Logs:
    """Makes a problem's logs in `folder`, unless they are there: those of a scene for each seed anew.

    Raises:
        WorldModelError: if recordings cannot be read, or none of them trains or tests.
    """
    if isinstance(problem.logs, Simulated):
        return _simulated(problem.logs, folder / f"seed{seed}", seed)
    return _recorded(problem.logs, folder / "logs", files)


def _simulated(scene: Simulated, folder: Path, seed: int) -> Logs:
    outage = folder / "outage.h5" if scene.out_s else None
    logs = Logs(folder / "train.h5", {"held_out": folder / "held_out.h5"}, outage)
    made = [
        (logs.train, scene.episodes, scene.seconds, seed),
        (logs.tests["held_out"], scene.held_out, scene.seconds, _HELD_OUT_SEED + seed),
    ]
    if outage is not None:
        made.append((outage, _OUTAGES, _ROOM * scene.out_s, _OUTAGE_SEED + seed))
    for path, episodes, seconds, worlds in made:
        if not path.exists():
            whole = path if not scene.hidden else path.with_name(f"whole_{path.name}")
            simulate(scene.scene, whole, episodes=episodes, seconds=seconds, seed=worlds, force=True)
            if scene.hidden:
                with Log(whole, truth=True) as log:
                    _copy(log, map(_whole, log.episodes), path, scene.hidden)
                whole.unlink()
    return logs


def _recorded(split: Recorded, folder: Path, files: Sequence[Path]) -> Logs:
    logs = Logs(folder / "train.h5", {test: folder / f"{test}.h5" for test in split.tests})
    if all(path.exists() for path in (logs.train, *logs.tests.values())):
        return logs
    whole = folder / "whole.h5"
    ingest(files, whole, recipe=split.recipe, force=True, progress=False)
    with Log(whole) as log:
        parts = [part for episode in log.episodes for part in _cut(episode, split.cut_s)]
        others = [part for part in parts if not _any(part.name, split.train)]
        chosen = {logs.train: [part for part in parts if _any(part.name, split.train)]}
        chosen |= {logs.tests[test]: [p for p in others if _any(p.name, names)] for test, names in split.tests.items()}
        for path, held in chosen.items():
            if not held:
                found = ", ".join(part.name for part in parts)
                raise WorldModelError(f"No recording is there for {path.stem}.", found=found)
            _copy(log, held, path, split.hidden)
    whole.unlink()
    return logs


class _Part(NamedTuple):
    """What an episode's streams hold in [start_s, end_s)."""

    name: str
    episode: Episode
    start_s: float
    end_s: float


def _whole(episode: Episode) -> _Part:
    return _Part(episode.name, episode, 0.0, np.inf)


def _cut(episode: Episode, cut_s: float | None) -> list[_Part]:
    """An episode, or its parts of `cut_s` seconds that are whole, named by their number from 1."""
    if cut_s is None:
        return [_whole(episode)]
    starts = [cut_s * i for i in range(int(episode.duration_s / cut_s + 1e-9))]
    return [_Part(f"{episode.name} part {i + 1}", episode, at, at + cut_s) for i, at in enumerate(starts)]


def _copy(log: Log, parts: Iterable[_Part], out: Path, hidden: Sequence[str] = ()) -> None:
    """Parts of a log as episodes of a log of their own, without the columns that match `hidden` as `stream.column`."""
    streams, known = _without(log.streams.values(), hidden), log.episodes[0].truth if log.has_truth else {}
    truth = _without([s.spec for name, s in known.items() if name in log.streams], hidden)
    truth |= _without([s.spec for name, s in known.items() if name not in log.streams], ())  # the simulator's state
    specs = [[spec for spec, _ in part.values()] for part in (streams, truth)]
    with LogWriter(out, specs[0], truth=specs[1], about=log.about, force=True) as writer:
        for part in parts:
            writer.append(
                _samples(part, part.episode.streams, streams),
                truth=_samples(part, part.episode.truth, truth) if truth else None,
                name=part.name,
                origin_utc=part.episode.origin_utc + part.start_s,
                duration_s=min(part.end_s, part.episode.duration_s) - part.start_s,
            )


def _without(specs: Iterable[StreamSpec], hidden: Sequence[str]) -> dict[str, tuple[StreamSpec, list[int]]]:
    """By name, streams without hidden columns, and which columns are left; no stream that has none left."""
    out = {}
    for spec in specs:
        kept = [i for i, column in enumerate(spec.columns) if not _any(f"{spec.name}.{column}", hidden)]
        parts: dict[str, Any] = {name: tuple(getattr(spec, name)[i] for i in kept) for name in _BY_COLUMN}
        if kept:
            out[spec.name] = dataclasses.replace(spec, **parts), kept
    return out


def _samples(
    part: _Part, streams: Mapping[str, Stream], kept: Mapping[str, tuple[StreamSpec, list[int]]]
) -> dict[str, Samples]:
    held = {name: (streams[name][part.start_s : part.end_s], columns) for name, (_, columns) in kept.items()}
    return {name: Samples(s.time - part.start_s, s.data[..., columns]) for name, (s, columns) in held.items()}


def _any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
