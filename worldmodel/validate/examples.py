"""A few starts with everything that a picture of them needs."""

from collections.abc import Container

import numpy as np

from worldmodel.codecs import codec
from worldmodel.types import StreamSpec
from worldmodel.validate.forecast import Forecast, Predictor, ask
from worldmodel.validate.problem import Problem
from worldmodel.validate.result import Example, Film

_COUNT, _DRAWN = 3, 12
_FRAMES, _FRAMES_APART_S = 12, 0.25


def draw_examples(problem: Problem, subject: Predictor, forecasts: dict[str, Forecast]) -> list[Example]:
    """Examples of starts spread over the problem, chosen without looking at how well they went."""
    rows = np.unique(np.linspace(0, len(problem.starts) - 1, _COUNT + 2).astype(int)[1:-1])
    films = _films(problem, subject, rows, next(iter(forecasts.values())).frames)
    return [_example(problem, forecasts, int(row), film) for row, film in zip(rows, films, strict=True)]


def _example(problem: Problem, forecasts: dict[str, Forecast], row: int, films: dict[str, Film]) -> Example:
    windows, answers = problem.truth.windows, problem.truth
    episode, tick = (int(x) for x in problem.starts[row])
    fixes = windows.last_fixes(problem.starts[row : row + 1])
    shift = {s.name: _shift(s, fixes[s.name][0]) for s in problem.readings}
    ours, *others = forecasts.values()
    drawn = {n: ours.members[n][row, :_DRAWN] if n in ours.members else v[row, None] for n, v in ours.mean.items()}
    return Example(
        episode=answers.log.episodes[windows.episodes[episode]].name,
        at_s=problem.layout.time_s(tick),
        context_time=problem.past_times,
        context={n: np.where(problem.past_mask[n][row], v[row], np.nan) + shift[n] for n, v in problem.past.items()},
        time=problem.times,
        truth={n: np.where(came.mask[row], came.values[row], np.nan) + shift[n] for n, came in answers.truth.items()},
        members={name: futures + shift[name] for name, futures in drawn.items()},
        baselines={
            predictor: {name: ahead[row] + shift[name] for name, ahead in forecast.mean.items()}
            for predictor, forecast in zip(list(forecasts)[1:], others, strict=True)
            if forecast.mean
        },
        films=films,
    )


def _shift(spec: StreamSpec, fix: np.ndarray) -> np.ndarray:
    """[P] what a window's positions are relative to, in metres from the episode's origin; 0 for other columns."""
    shift = np.zeros(len(codec(spec).labels))
    relative = np.flatnonzero(codec(spec).relative)  # the first features of a stream, and its first physical columns
    shift[relative] = np.nan_to_num(fix)[relative]
    return shift


def _films(problem: Problem, subject: Predictor, rows: np.ndarray, shown: Container[str]) -> list[dict[str, Film]]:
    """Of each of the starts, by video, one future of the subject's beside what came, a few frames a second.

    The subject is asked for frames of the videos that it has `shown` before, and for nothing else.
    """
    ticks = {spec.name: _film_ticks(problem, i, rows) for i, spec in enumerate(problem.layout.videos)}
    ticks = {name: asked for name, asked in ticks.items() if name in shown}
    ticks = {name: asked for name, asked in ticks.items() if (asked >= 0).any()}
    films: list[dict[str, Film]] = [{} for _ in rows]
    if not ticks:
        return films
    imagined = ask(subject, problem.select(rows, ticks)).frames
    for name, asked in ticks.items():
        if name not in imagined:
            continue
        video = [spec.name for spec in problem.layout.videos].index(name)
        _, future = problem.truth.windows.cut(problem.starts[rows], problem.horizon, np.maximum(asked, 0))
        for i, there in enumerate(asked >= 0):
            if there.any():
                seen = problem.context.frames[video][rows[i]]
                time, real = (asked[i, there] + 1.0) * problem.dt, future.frames[video][i, there]
                films[i][name] = Film(time, seen, real, imagined[name][i, 0, there].astype(np.uint8))
    return films


def _film_ticks(problem: Problem, video: int, rows: np.ndarray) -> np.ndarray:
    """int [R, F] ticks ahead, about evenly apart, that have a frame; -1 for none."""
    windows, layout = problem.truth.windows, problem.layout
    step = max(round(_FRAMES_APART_S / problem.dt / layout.interval(layout.videos[video])), 1)
    out = np.full((len(rows), _FRAMES), -1)
    for i, (episode, tick) in enumerate(problem.starts[rows]):
        there = np.flatnonzero(windows.ticks[episode].frames[tick + 1 : tick + 1 + problem.horizon, video] >= 0)
        shown = there[step - 1 :: step][:_FRAMES]
        out[i, : len(shown)] = shown
    return out
