"""Dead reckoning through an outage by the plain rule: from the last fix before it, along what was read since."""

import dataclasses
from typing import NamedTuple

import numpy as np

from worldmodel.arrays import hold
from worldmodel.codecs import codec
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines import Baselines
from worldmodel.types import StreamSpec
from worldmodel.validate.carried import as_asked
from worldmodel.validate.forecast import Forecast
from worldmodel.validate.problem import Problem


class Reckoned(NamedTuple):
    """Where dead reckoning has it.

    Attributes:
        forecast: places ahead of the starts, as a predictor would tell them.
        told: bool [W] whether a fix was read in the context before the outage, from which to begin.
    """

    forecast: Forecast
    told: np.ndarray


def reckoned(baselines: Baselines, problem: Problem, stream: StreamSpec, ticks: int) -> Reckoned | None:
    """Places of a stream that is out for the last `ticks` before each start, while speed and turning go on being read.

    It begins with the last fix before the outage, and with the heading that those of the context before it tell, as
    they were read: nothing is followed, and nothing older than that context is used. From the starts on speed and
    turning are held.

    Args:
        baselines: of a run, which know what tells its speed and turning.
        problem: with its answers. Its starts lie the outage and a context after the beginning of their episodes.
        stream: the one that tells positions.
        ticks: how long it is out.

    Returns:
        None if no speed and turning were found.
    """
    lens, windows = baselines.lens, problem.truth.windows
    found = next((reckoner for reckoner in baselines.reckoners if reckoner.stream == stream.name), None)
    if found is None:
        return None
    before = problem.starts - [0, ticks]
    read = Windows.of(windows.log, windows.layout.without_video(), windows.context, ticks, windows.episodes)
    seen = lens.seen(*read.cut(before, ticks))
    came = np.concatenate([seen.view.held[:, -1:], seen.came], 1)
    there = np.concatenate([np.ones_like(seen.mask[:, :1]), seen.mask], 1)
    since = hold(came, there)[0][:, 1:]
    ahead = np.concatenate([since, np.repeat(since[:, -1:], problem.horizon, 1)], 1)
    plain = dataclasses.replace(found, manner=np.array([1, windows.context, 0]))  # along `ahead`, from the last fix
    places = lens.back(plain.predict(seen.view, ahead, lens), seen.view.angle)[:, ticks:]
    fix = read.last_fixes(before)[stream.name]
    said = Forecast({stream.name: codec(stream).physical(places[..., lens.layout.reading_columns[stream.name]])})
    return Reckoned(as_asked(said, problem, stream, fix), np.isfinite(fix).all(1))
