"""Where a LeRobot data set keeps what: its tables, and each episode's part of each film."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.damage import is_pointer, read_json, reading
from worldmodel.logs.ingest.formats.lerobot.features import Feature

_DATA = {2: "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"}
_DATA[3] = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO = {2: "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"}
_VIDEO[3] = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_FIELD = re.compile(r"\{(\w+)(?::0(\d)d)?\}")


class Clip(NamedTuple):
    """One episode's part of a film.

    Attributes:
        path: the film.
        zero: the media time in seconds of the episode's time zero.
        span: seconds of media time from which and before which its frames lie.
        bytes: its share of the file.
    """

    path: Path
    zero: float
    span: tuple[float, float]
    bytes: int


class DataSet:
    """A data set by its metadata, or tables alone.

    Args:
        root: its folder; None for tables that lie in none.
        files: the tables to read; by default all that the metadata list and that are there.

    Attributes:
        features: what the metadata say of each column.
        fps: frames a second; 0 where nothing says.
        videos: the columns that are films.
        episodes: what the metadata say of each episode, by its index.
        given: the tables that were given.
    """

    def __init__(self, root: Path | None, files: Sequence[Path] = ()) -> None:
        self.root = root
        self.info: dict[str, Any] = dict(read_json(root / "meta/info.json")) if root else {}
        self.features: dict[str, Any] = dict(self.info.get("features", {}))
        fps = float(self.info.get("fps") or 0)
        self.fps = fps if 0 < fps < math.inf else 0.0
        self.videos = [key for key, feature in self.features.items() if feature.get("dtype") == "video"]
        self._version = 3 if str(self.info.get("codebase_version", "")).startswith("v3") else 2
        self.episodes = dict(_episodes(root)) if root else {}
        self.given = list(files)

    @property
    def about(self) -> dict[str, object]:
        robot = self.info.get("robot_type")
        return {"description": f"LeRobot data set{f' of {robot}' if robot else ''}"}

    @property
    def lengths(self) -> dict[int, int]:
        """How many frames the metadata tell of each episode."""
        return {index: int(row["length"]) for index, row in self.episodes.items() if row.get("length")}

    @cached_property
    def files(self) -> list[Path]:
        """The tables that are there, in order.

        Raises:
            RecipeError: if there is none.
        """
        if self.given or self.root is None:
            return self.given
        places = dict.fromkeys(filter(None, map(self._table, self.episodes)))
        found = list(places) or sorted((self.root / "data").rglob("*.parquet"))
        there = [path for path in found if path.is_file() and not is_pointer(path)]
        if not there:
            raise RecipeError(
                f"{self.root} holds no table of frames.",
                expected=f"files such as {self._template('data_path', _DATA)}",
                found=f"{len(found)} of which none is there, or which Git LFS has not fetched",
                remedy="fetch the data set's data folder (git lfs pull, or hf download)",
            )
        return there

    def missing(self) -> Iterator[str]:
        """A line for what the metadata list and is not there."""
        if self.given or not self.episodes:
            return
        files = set(self.files)
        there = [index for index in self.episodes if self._table(index) in files]
        if len(there) < len(self.episodes):
            yield f"{len(self.episodes) - len(there)} of {len(self.episodes)} episodes of the metadata have no table"
        for key in self.videos:
            lack = sum(key not in self.clips(index) for index in there)
            if lack == len(there):  # of fewer, the log says it as of every stream
                yield f"{Feature(key).stream}: its films are not there"

    def clips(self, index: int) -> dict[str, Clip]:
        """The films of an episode that are there, by column."""
        return {key: clip for key in self.videos if (clip := self._clip(key, index)) is not None}

    def _clip(self, key: str, index: int) -> Clip | None:
        if self.root is None:
            return None
        row = self.episodes.get(index, {})
        if self._version == 2:
            path, span, share = self._place("video_path", _VIDEO, index, video_key=key), (0.0, math.inf), 1
        else:
            chunk, file = _film_of(row, key)
            path = self._place("video_path", _VIDEO, index, video_key=key, chunk_index=chunk, file_index=file)
            first, stop = (float(row.get(f"videos/{key}/{end}_timestamp") or 0.0) for end in ("from", "to"))
            span, share = (first, stop), self._shares[key][chunk, file]
        if path is None or not path.is_file() or is_pointer(path):
            return None
        half = 0.5 / (self.fps or 30.0)  # frames lie at multiples of a period, which decimals tell almost
        return Clip(path, span[0], (span[0] - half, span[1] - half), path.stat().st_size // share)

    @cached_property
    def _shares(self) -> dict[str, Counter[tuple[Any, Any]]]:
        """How many episodes have a part of each film."""
        names = {key: [f"videos/{key}/{name}" for name in ("chunk_index", "file_index")] for key in self.videos}
        return {
            key: Counter((row.get(c), row.get(f)) for row in self.episodes.values()) for key, (c, f) in names.items()
        }

    def _table(self, index: int) -> Path | None:
        row = self.episodes[index]
        return self._place(
            "data_path", _DATA, index, chunk_index=row.get("data/chunk_index"), file_index=row.get("data/file_index")
        )

    def _template(self, key: str, default: dict[int, str]) -> str:
        return str(self.info.get(key) or default[self._version])

    def _place(self, key: str, default: dict[int, str], index: int, **fields: Any) -> Path | None:
        """A file by the template that the metadata give, inside the data set; None where a field is unknown."""
        assert self.root is not None
        size = int(self.info.get("chunks_size") or 1000)
        fields |= {"episode_index": index, "episode_chunk": index // size}
        template = self._template(key, default)
        if any(fields.get(name) is None for name, _ in _FIELD.findall(template)):
            return None
        name = Path(_FIELD.sub(lambda found: str(fields[found[1]]).zfill(int(found[2] or 0)), template))
        if name.is_absolute() or ".." in name.parts:
            raise RecipeError(f"{self.root}: its metadata lead out of its folder.", found=str(name))
        return self.root / name


def _film_of(row: dict[str, Any], key: str) -> tuple[Any, Any]:
    """The numbers of the chunk and of the film that hold a column of an episode."""
    return row.get(f"videos/{key}/chunk_index"), row.get(f"videos/{key}/file_index")


def _episodes(root: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """What the metadata say of each episode."""
    if (root / "meta/episodes.jsonl").is_file():
        with reading(root / "meta/episodes.jsonl", "lines of JSON"):
            for line in (root / "meta/episodes.jsonl").read_text().splitlines():
                if line.strip():
                    row = json.loads(line)
                    yield int(row["episode_index"]), row
    from pyarrow import parquet

    for path in sorted((root / "meta/episodes").rglob("*.parquet")):
        with reading(path, "a Parquet file of LeRobot"), parquet.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if not name.startswith(("stats/", "tasks"))]
            for row in file.read(names).to_pylist():
                yield int(row["episode_index"]), row
