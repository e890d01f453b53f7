"""Turns each source into a log of its own, on all cores; what a killed ingest has finished is not done again."""

import dataclasses
import functools
import hashlib
import json
import os
import queue
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from worldmodel.allocator import available_bytes
from worldmodel.errors import NoMemoryError, RecipeError, WorldModelError
from worldmodel.logs.health.copies import Gathered, Gathering
from worldmodel.logs.health.cutting import cut_every
from worldmodel.logs.health.examination import examined
from worldmodel.logs.health.finding import FINDINGS
from worldmodel.logs.ingest.apart import Apart, NoRoomError, StoppedError, apart
from worldmodel.logs.ingest.assembly import Assembly, not_finite
from worldmodel.logs.ingest.importer import Options, importer
from worldmodel.logs.ingest.recording import Recording
from worldmodel.logs.ingest.sources import Source
from worldmodel.logs.writer import LogWriter
from worldmodel.version import __version__

_POOL_FROM = 32 << 20  # bytes: below, starting processes costs more than they save
_WORTH_KEEPING_S = 30.0
_LEAST_S = 60.0  # for a reader to come to an end or to the next episode, and as long as the slowest disk takes
_SLOWEST_BYTES_S = 5e6
_TIMES = 16  # the size of a packed file, which its content may take in memory
_SHOWN_S = 0.1
Refuse = Callable[[Source, WorldModelError], None]
NOTES = "notes"  # of a part's `about`: what was found while it was read


class Parts:
    """The folder of the logs that sources were turned into, beside the output until that is whole.

    A context manager: the folder goes when all is done, and stays with what is finished when the process is killed or
    interrupted, or after an error that took long to come.

    Args:
        out: the output.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.with_name(f".{out.stem}.parts")

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.folder / "lock", blocking=False)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise WorldModelError(
                f"Another ingest writes {self.out}.", remedy="wait for it, or choose another output"
            ) from error
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._lock.release()
        quick = time.monotonic() - self._began < _WORTH_KEEPING_S
        if kind is None or (quick and issubclass(kind, Exception)):
            shutil.rmtree(self.folder, ignore_errors=True)

    def of(self, source: Source, options: Options) -> Path:
        """Where a source's log is, or is to be: another place if the source or the options change."""
        stats = [(str(part.resolve()), part.stat().st_size, part.stat().st_mtime_ns) for part in source.parts]
        given = dataclasses.asdict(dataclasses.replace(options, scratch=Path(), advance=print)) | {"advance": ""}
        given["recipe"], given["dbc"] = _content(options.recipe), [_content(path) for path in options.dbc]
        known = json.dumps([__version__, source.format, stats, given], default=str)
        return self.folder / f"{hashlib.sha256(known.encode()).hexdigest()[:24]}.h5"


def _content(path: str | Path | None) -> str | Path | None:
    """The text of a file; a name that is none as it is."""
    return Path(path).read_text(errors="replace") if path is not None and Path(path).is_file() else path


def convert(source: Source, options: Options, part: Path) -> dict[str, Gathered]:
    """Reads a source and writes its episodes as a log; what was found stands in the log's `about`.

    A format whose library may crash or hang (`APART` of its importer) is read in a process of its own, and so is what
    may not fit into memory: the system would stop this one without a word.

    Returns:
        What is to be compared of it with other logs.

    Raises:
        RecipeError: if it cannot be read, holds no recording, or one that its checks refuse.
    """
    risky = _may_crash(source) or _TIMES * source.bytes > available_bytes()
    return _convert_in(apart, source, options, part) if risky else _convert(source, options, part)


def _may_crash(source: Source) -> bool:
    return bool(getattr(importer(source.format), "APART", False))


def _convert_in(process: Apart, source: Source, options: Options, part: Path) -> dict[str, Gathered]:
    """Converts a source in a process."""
    plain = dataclasses.replace(options.absolute(), advance=print)
    limit_s = _LEAST_S + source.bytes / _SLOWEST_BYTES_S if _may_crash(source) else None
    try:
        given = source.absolute(), plain, part.absolute()
        return process(_convert_apart, *given, limit_s=limit_s, advance=options.advance)
    except StoppedError as error:
        part.unlink(missing_ok=True)
        if isinstance(error, NoRoomError):
            raise NoMemoryError(
                f"{source.path} does not fit into memory.",
                found=str(error),
                remedy="cut it into files of a shorter time each, or close what else takes memory",
            ) from error
        raise RecipeError(
            f"{source.path} cannot be read: it is damaged.",
            found=str(error),
            remedy="copy it again, or leave it out",
        ) from error


def _convert_apart(
    source: Source, options: Options, part: Path, advance: Callable[[int], object]
) -> dict[str, Gathered]:
    return _convert(source, dataclasses.replace(options, advance=_Counted(advance, source.bytes)), part)


def _convert(source: Source, options: Options, part: Path) -> dict[str, Gathered]:
    gathering = Gathering()
    with LogWriter(part, (), force=True, seen=gathering.take) as log:
        assembly = Assembly().into(log)
        for recording in _read(source, options):
            _append(assembly, recording, options)
            del recording  # before the next is read
        if not assembly.episodes:
            raise RecipeError(f"{source.path} holds no recording.", remedy="leave it out")
        assembly.settle()
        assembly.tell({NOTES: assembly.notes, FINDINGS: [finding.to_json() for finding in assembly.findings]})
    return gathering.done()


def _append(assembly: Assembly, recording: Recording, options: Options) -> None:
    for whole in examined(recording, options.strict):
        whole.notes += not_finite(whole)
        for episode in cut_every(whole, options.cut_every_s or whole.cut_every_s):
            assembly.append(episode)


def _read(source: Source, options: Options) -> Iterator[Recording]:
    try:
        yield from importer(source.format).read(source.path, options)
    except OSError as error:
        if error.filename is None or Path(error.filename).is_relative_to(options.scratch):
            raise
        raise RecipeError(f"{error.filename} cannot be read.", found=str(error.strerror)) from error


def convert_all(
    jobs: Sequence[tuple[Source, Path]],
    options: Options,
    workers: int | None,
    ray: str | None,
    advance: Callable[[int], object],
    refuse: Refuse,
    gathered: dict[Path, dict[str, Gathered]],
) -> Iterator[Path]:
    """Turns sources into logs, and yields them in order; those that are there already are left as they are.

    Args:
        jobs: each source, and its log.
        options: for all.
        workers: how many processes; by default as many as there are cores, where that pays.
        ray: the address of a cluster that does it.
        advance: called with numbers of bytes as they are read.
        refuse: called with a source that cannot be taken and the error that says why; returns where it is left out.
        gathered: gets what is to be compared of the logs that are made here.
    """
    refused: set[Source] = set()

    def leave_out(source: Source, error: WorldModelError) -> None:
        refuse(source, error)
        refused.add(source)

    left = [(source, part) for source, part in jobs if not part.exists()]
    advance(sum(source.bytes for source, part in jobs if part.exists()))
    if ray is not None:
        from worldmodel.logs.ingest.on_ray import convert_on_ray

        convert_on_ray(left, options, ray, advance, leave_out)
        workers = 1
    elif workers is None:
        worth = len(left) > 1 and sum(source.bytes for source, _ in left) > _POOL_FROM
        workers = min(os.cpu_count() or 1, len(left)) if worth else 1
    large: set[Source] = set()
    if workers > 1:
        large = _convert_in_pool(left, options, workers, advance, leave_out, gathered)
    for source, part in jobs:
        if not part.exists() and source not in refused:
            counted = _Counted(advance, source.bytes)
            try:
                alone = functools.partial(_convert_in, apart) if source in large else convert
                gathered[part] = alone(source, dataclasses.replace(options, advance=counted), part)
            except WorldModelError as error:
                leave_out(source, error)
            counted.finish()
        if source not in refused:
            yield part


class _Counted:
    """Passes numbers of bytes on, never more in all than there are, and what is left at the end.

    Many small ones are passed on together, ten times a second: to show each would take longer than to read it.
    """

    def __init__(self, advance: Callable[[int], object], total: int) -> None:
        self._advance, self._left = advance, total
        self._waiting, self._next = 0, 0.0

    def __call__(self, count: int) -> None:
        self._waiting += count
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _SHOWN_S
            self._pass_on(self._waiting)

    def _pass_on(self, count: int) -> None:
        count, self._waiting = min(count, self._left), 0
        self._left -= count
        self._advance(count)

    def finish(self) -> None:
        self._pass_on(self._left)


def _convert_in_pool(
    jobs: Sequence[tuple[Source, Path]],
    options: Options,
    workers: int,
    advance: Callable[[int], object],
    refuse: Refuse,
    gathered: dict[Path, dict[str, Gathered]],
) -> set[Source]:
    """Converts in processes; an error that `refuse` raises stops those that have not begun.

    They are not those of `multiprocessing`, which would run the user's script once more in each.

    Returns:
        Sources that did not fit into memory beside others, and are left: alone they may.
    """
    large: set[Source] = set()
    free: queue.SimpleQueue[Apart] = queue.SimpleQueue()
    processes = [Apart() for _ in range(workers)]
    for process in processes:
        free.put(process)

    def convert_one(source: Source, part: Path) -> None:
        process, counted = free.get(), _Counted(advance, source.bytes)
        try:
            gathered[part] = _convert_in(process, source, dataclasses.replace(options, advance=counted), part)
        finally:
            free.put(process)
        counted.finish()

    try:
        with ThreadPoolExecutor(workers) as pool:
            sources = {pool.submit(convert_one, *job): job[0] for job in jobs}
            try:
                for future in as_completed(sources):
                    try:
                        future.result()
                    except NoMemoryError:
                        large.add(sources[future])
                    except WorldModelError as error:
                        refuse(sources[future], error)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in processes:
                    process.end()
                raise
    finally:
        for process in processes:
            process.stop()
    return large
