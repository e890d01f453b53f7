"""The protocol of whatever predicts: a problem in, a forecast out."""

import importlib
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from worldmodel.codecs import codec
from worldmodel.errors import WorldModelError
from worldmodel.validate.problem import Problem

_NOTHING: Mapping[str, np.ndarray] = MappingProxyType({})


class Forecast(NamedTuple):
    """What is predicted, by stream, in the columns of `Problem.past`. A stream that is missing is not scored.

    Attributes:
        mean: [W, H, P] at each tick ahead; where only `members` are given, their mean.
        members: [W, K, H, P] equally likely futures, as sensors would read them.
        frames: by video [W, K, F, rows, columns, 3] in 0..255 at `Problem.frame_ticks`; K is 1 for one prediction.
        trust: by stream and expert [H] how much each of those that were blended counts, on average over starts.
        mean_frames: by video [W, F, rows, columns, 3] their mean, where it is not that of the members.
        note: what a reader of the report must know of it; may be empty.
    """

    mean: Mapping[str, np.ndarray] = _NOTHING
    members: Mapping[str, np.ndarray] = _NOTHING
    frames: Mapping[str, np.ndarray] = _NOTHING
    note: str = ""
    trust: Mapping[str, Mapping[str, np.ndarray]] = MappingProxyType({})
    mean_frames: Mapping[str, np.ndarray] = _NOTHING


@runtime_checkable
class Predictor(Protocol):
    """Anything that predicts. Its attribute `name`, else its class's name, is what tables call it."""

    def predict(self, problem: Problem) -> Forecast:
        """What every sensor reads next, from a problem without its answers."""


def load_predictor(given: Any) -> Predictor:
    """A predictor from `package.module:Class`, from a class, or from an object that is one.

    A class is made without arguments. Modules are also looked for in the working folder.

    Raises:
        WorldModelError: if there is no such thing, or it does not predict.
    """
    found = _imported(given) if isinstance(given, str) else given
    if isinstance(found, type):
        try:
            found = found()
        except TypeError as error:
            raise WorldModelError(
                f"The predictor {given!r} cannot be made without arguments.",
                found=str(error),
                remedy="give an object of it, under a name of the module",
            ) from error
    if not callable(getattr(found, "predict", None)):
        raise WorldModelError(
            f"{given!r} is no predictor.",
            expected="an object, or a class, with a method predict(problem) -> Forecast",
            found=type(found).__name__,
        )
    return found


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    if not module or not name:
        raise WorldModelError(
            "A predictor is named by its module and class.", expected="package.module:Class", found=path
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        home = importlib.import_module(module)
    except ImportError as error:
        raise WorldModelError(
            f"The module of the predictor {path} cannot be loaded.",
            found=str(error),
            remedy="install it, or run where the file is",
        ) from error
    if not hasattr(home, name):
        there = ", ".join(n for n, value in vars(home).items() if isinstance(value, type) and hasattr(value, "predict"))
        raise WorldModelError(f"{module} has no {name}.", expected="a class that predicts", found=there or "none")
    return getattr(home, name)


def name_of(predictor: Predictor) -> str:
    """What a predictor is called in tables."""
    return str(getattr(predictor, "name", "") or type(predictor).__name__)


def ask(predictor: Predictor, problem: Problem) -> Forecast:
    """A predictor's forecast, checked and with a mean for every stream that it predicts.

    Raises:
        WorldModelError: if it is no forecast, has a stream of another name or shape, or numbers that are not finite.
    """
    name, problem = name_of(predictor), problem.asked
    forecast = predictor.predict(problem)
    if not isinstance(forecast, Forecast):
        raise WorldModelError(f"{name} predicts no Forecast.", expected="Forecast", found=type(forecast).__name__)
    windows, horizon = len(problem.starts), problem.horizon
    widths = {spec.name: len(codec(spec).labels) for spec in problem.readings}
    frames = {n: (len(t), None, t.shape[1], *problem.streams[n].sample_shape) for n, t in problem.frame_ticks.items()}
    mean = _checked(name, "mean", forecast.mean, {n: (windows, horizon, p) for n, p in widths.items()})
    members = _checked(name, "members", forecast.members, {n: (windows, None, horizon, p) for n, p in widths.items()})
    shown = _checked(name, "frames", forecast.frames, frames)
    alone = {n: (shape[0], *shape[2:]) for n, shape in frames.items()}
    mean_frames = _checked(name, "mean frames", forecast.mean_frames, alone)
    for stream, futures in members.items():
        mean.setdefault(stream, codec(problem.streams[stream]).average(futures, 1))
    several = {n: m for n, m in members.items() if m.shape[1] > 1}
    return Forecast(mean, several, shown, forecast.note, forecast.trust, mean_frames)


def _checked(
    predictor: str, part: str, given: Mapping[str, Any], shapes: Mapping[str, tuple[int | None, ...]]
) -> dict[str, np.ndarray]:
    """Arrays by stream, in the order of the problem, if they have the shapes that were asked for."""
    if unknown := [name for name in given if name not in shapes]:
        raise WorldModelError(
            f"{predictor} predicts {part} of what was not asked for.",
            expected=", ".join(shapes) or "no stream",
            found=", ".join(map(str, unknown)),
        )
    arrays = {name: np.asarray(given[name]) for name in shapes if name in given}
    for name, array in arrays.items():
        shape = shapes[name]
        if len(array.shape) != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
            wanted = ", ".join("K" if n is None else str(n) for n in shape)
            raise WorldModelError(
                f"{predictor} predicts {part} of {name!r} in another shape.",
                expected=f"[{wanted}]",
                found=f"[{', '.join(map(str, array.shape))}]",
            )
        if wrong := _no_numbers(array):
            raise WorldModelError(
                f"{predictor} predicts {part} of {name!r} that are no finite numbers.",
                found=wrong,
                remedy="leave a stream out that it cannot predict",
            )
    return arrays


def _no_numbers(array: np.ndarray) -> str:
    """What of an array is no finite number; empty if nothing is."""
    if np.issubdtype(array.dtype, np.integer):
        return "" if array.size else "nothing"
    if not np.issubdtype(array.dtype, np.floating):
        return str(array.dtype)
    count = array.size - np.count_nonzero(np.isfinite(array))
    return f"{count} of {array.size} are not finite" if count or not array.size else ""
