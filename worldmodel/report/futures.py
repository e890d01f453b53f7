"""Plots of one start: sampled futures over the truth, positions on a map in metres, frames in a strip."""

import numpy as np

from worldmodel.codecs import codec
from worldmodel.draw import (
    WIDTH,
    Fan,
    Picture,
    draw_fan,
    draw_strip,
    draw_track,
    draw_way,
    film,
    new_figure,
    panel_title,
    style,
)
from worldmodel.types import StreamSpec
from worldmodel.validate.labels import look, seconds
from worldmodel.validate.result import Example, Film, Result

_PANELS = 90  # on the whole page: it stays below a few megabytes
_STRIP_HEIGHT = 3.6  # inches
_Panel = tuple[str, Fan]  # and its title


def columns_drawn(result: Result) -> int:
    """How many columns of each stream are drawn of each example."""
    return int(np.clip(_PANELS // max(len(result.examples) * len(result.scores), 1), 1, 6))


def draw_futures(result: Result, example: Example) -> Picture:
    """Context, truth, members and their mean over time, one pair of axes a column."""
    drawn = columns_drawn(result)
    panels = [panel for name in example.members for panel in _panels(example, result.streams[name])[:drawn]]
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    with style():
        figure = new_figure(WIDTH, 1.75 * rows + 0.35)
        for i, (title, fan) in enumerate(panels):
            axes = figure.add_subplot(rows, columns, i + 1)
            draw_fan(axes, fan, look(result.subject).colour)
            axes.set_title(title)
            if i >= len(panels) - columns:
                axes.set_xlabel("seconds from the start")
    return Picture(figure, f"futures of {example.episode!r}")


def _panels(example: Example, spec: StreamSpec) -> list[_Panel]:
    """Every column of a stream."""
    name, what = spec.name, codec(spec)
    seen, came, members = example.context[name], example.truth[name], example.members[name]
    mean = what.average(members, 0)
    return [
        (
            panel_title(name, label, unit),
            Fan(
                0.0, example.context_time, seen[:, i], example.time, came[:, i], example.time, members[:, :, i],
                mean[:, i], wraps,
            ),
        )
        for i, (label, unit, wraps) in enumerate(zip(what.labels, what.units, spec.circular, strict=False))
    ]  # fmt: skip


def draw_tracks(result: Result, examples: list[Example], stream: str) -> Picture:
    """The ways on the ground of a position, its first column to the right, in metres."""
    spec = result.streams[stream]
    of = " of the first fix" if spec.kind == "gps" else ""
    across, up = (f"{label}{of} (m)" for label in codec(spec).labels[:2])
    with style():
        figure = new_figure(WIDTH, WIDTH / max(len(examples), 2) + 0.35)
        for i, example in enumerate(examples):
            axes = figure.add_subplot(1, max(len(examples), 2), i + 1)
            seen, came, members = (part[stream] for part in (example.context, example.truth, example.members))
            draw_track(axes, seen, came, members, look(result.subject).colour, north=codec(spec).north_up)
            for name, ahead in example.baselines.items():
                if stream in ahead:
                    draw_way(axes, ahead[stream], look(name).colour, look(name).dashes)
            axes.set(
                xlabel=across, ylabel=up if i == 0 else "", title=f"{example.episode}, from {seconds(example.at_s)}"
            )
    return Picture(figure, f"tracks of {stream}")


def draw_film(shown: Film, title: str) -> Picture:
    """Some frames of a film: recorded, imagined and their difference below each other."""
    frames = film(shown.seen, list(shown.truth), shown.imagined)
    titles = ["seen"] * len(shown.seen) + [f"+{time:.2g} s" for time in shown.time]
    with style():
        figure = new_figure(WIDTH, _STRIP_HEIGHT)
        draw_strip(figure.subplots(), frames, titles)
    return Picture(figure, title)
