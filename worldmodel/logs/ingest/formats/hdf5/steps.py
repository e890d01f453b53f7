"""Recordings of episodes that are arrays with a row a step."""

from collections.abc import Iterator, Sequence

import numpy as np

from worldmodel.logs.ingest.formats.hdf5.arrays import Piece, is_image, is_number, pictures
from worldmodel.logs.ingest.formats.hdf5.layouts import Episode
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording, free_name
from worldmodel.types import StreamSpec

ASSUMED_HZ = 20.0
ASSUMED = f"nothing tells how long a step is: {1 / ASSUMED_HZ:g} s are assumed"
_UNIT = 0.01  # that the length of a unit quaternion may be off


def recorded(
    episode: Episode, rate: float, scalar: int | None, options: Options, stamps: np.ndarray | None = None
) -> Recording:
    """An episode's recording.

    Args:
        episode: its arrays.
        rate: steps a second.
        scalar: where quaternions called `_quat` have their scalar; None where nobody knows.
        options: what importers are told.
        stamps: the seconds of its steps [M]; None for steps that follow each other evenly.
    """
    recording = Recording(episode.name)
    left = list(episode.left)
    for piece in _told_apart(episode.pieces):
        if is_image(piece):
            frames = zip(_times(piece.rows, rate, stamps), pictures(piece, options.size), strict=True)
            recording.add_film(piece.name, frames, options.size, options.scratch, rate_hz=rate)
        elif is_number(piece) and piece.rows - episode.steps in (0, 1):
            _add_numbers(recording, piece, rate, scalar, _times(piece.rows, rate, stamps))
        else:
            left.append(piece.name)
    if left:
        recording.notes.append(f"left out, as no numbers of each step, images or its actions again: {', '.join(left)}")
    return recording


def _told_apart(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """The same, with numbers behind the names of those that would share one; commands keep theirs."""
    taken = {piece.name for piece in pieces if piece.is_action}
    for piece in pieces:
        name = piece.name if piece.is_action else free_name(taken, piece.name)
        taken.add(name)
        yield piece._replace(name=name)


def _times(rows: int, rate: float, stamps: np.ndarray | None) -> np.ndarray:
    """The seconds of rows [M], of which there may be more than steps."""
    if stamps is None:
        return np.arange(rows) / rate
    more = stamps[-1] + np.arange(1, rows - len(stamps) + 1) / rate
    return np.concatenate([stamps[:rows], more])


def _add_numbers(recording: Recording, piece: Piece, rate: float, scalar: int | None, time: np.ndarray) -> None:
    values = piece.numbers()
    columns, kind = tuple(map(str, range(values.shape[1]))), "action" if piece.is_action else "sensor"
    if scalar is not None and piece.name.endswith("_quat") and _is_unit(values):
        columns, values, kind = ("qw", "qx", "qy", "qz"), np.roll(values, -scalar % 4, 1), "orientation"
    spec = StreamSpec(piece.name, kind, columns, ("",) * len(columns), rate)
    recording.add(spec, time, values)


def _is_unit(values: np.ndarray) -> bool:
    """Whether rows [M, S] are quaternions of length 1."""
    return values.shape[1] == 4 and bool((np.abs(np.linalg.norm(values, axis=1) - 1) < _UNIT).all())
