"""The baselines of a run: fitted together, kept in one file, and asked by name."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from worldmodel.errors import WorldModelError
from worldmodel.files import readable, whole_file
from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context, Windows
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.direct import Direct
from worldmodel.models.baselines.linear import Linear
from worldmodel.models.baselines.onestep import OneStep
from worldmodel.models.baselines.penalties import PENALTIES, shares
from worldmodel.models.baselines.reckoning import Reckoner, find_reckoners, reckon
from worldmodel.models.baselines.sensors import Named
from worldmodel.models.baselines.simple import Climate, Velocity, hold_last
from worldmodel.models.baselines.view import Examples, Lens, View
from worldmodel.types import Array, Commands

VERSION = 3
_LEARN, _SELECT = 4000, 1500  # windows that are drawn at most
_VALUES = 1 << 24  # numbers in them at most: what is done with them takes seconds,
_READINGS_S = 1_200_000  # one for so many readings at ticks
_FEW = 500  # of them however little time there is
_TO_SELECT = 4  # one episode of so many chooses, where none were given for that
_FRAMES = 256  # that a mean frame is taken of


@dataclasses.dataclass
class Baselines:
    """Fitted on the training episodes, kept with the run.

    Attributes:
        lens: the view that all of them work on, which is the model's.
        climate, velocity, linear: what they were fitted to.
        reckoners: one for each position stream for which a speed and a turning were found.
        mean_frames: by video, the mean of training frames, uint8 [rows, columns, 3].
    """

    lens: Lens
    climate: Climate
    velocity: Velocity
    linear: Linear
    reckoners: tuple[Reckoner, ...]
    mean_frames: dict[str, np.ndarray]

    @classmethod
    def fit(
        cls,
        windows: Windows,
        scaling: Any,
        seed: int,
        *,
        starts: np.ndarray | None = None,
        select: Windows | None = None,
        motion: Named | None = None,
        allowance: Allowance = UNLIMITED,
    ) -> "Baselines":
        """Fits on `windows` and chooses by the open-loop error on `select`.

        Args:
            windows: of the episodes to learn from.
            scaling: their statistics (`worldmodel.models.world_model.Scaling`).
            seed: of the windows that are drawn.
            starts: int [M, 2] the windows that may be drawn; by default all, thinned where they are many.
            select: of other episodes, to choose on. By default part of the first choose, whole episodes where there
                are two or more, and what was chosen is fitted again on all.
            motion: which sensors dead reckoning is to use; by default it looks for them.
            allowance: time for it. Nothing is left out whole: linear models are fitted at fewer ticks ahead.
        """
        rng = np.random.default_rng([seed, 0xBA5E])
        lens = Lens(windows.layout, *(np.asarray(x) for x in scaling[:4]))
        starts = windows.starts().thinned() if starts is None else starts
        third = allowance.part(allowance.left / 3)  # of the time for each of three sets of windows
        whole = learn = _examples(lens, windows, starts, _LEARN, rng, third)
        if select is not None:
            chosen = _examples(lens, select, select.starts().thinned(), _SELECT, rng, third)
        else:
            parts = zip(_split(starts, windows.context + windows.horizon, rng), (_LEARN, _SELECT), strict=True)
            learn, chosen = (_examples(lens, windows, *part, rng, third) for part in parts)
        counts = shares(whole, learn, chosen, lens.layout, rng, allowance.part(allowance.left / 4))
        linear = Linear.fit(learn, chosen, lens.layout, counts, allowance.part(allowance.left / 2))
        ahead = linear.predict(chosen.view, lens.layout)
        reckoners = [r.choose(chosen, ahead, lens) for r in find_reckoners(learn, lens, motion)]
        again = linear.with_near if whole is learn else linear.refit
        linear = again(whole, lens.layout, allowance)
        climate, velocity = Climate.fit(whole, lens), Velocity.fit(whole, lens.layout)
        return cls(lens, climate, velocity, linear, tuple(reckoners), _mean_frames(windows, rng))

    def refit(self, windows: Windows, starts: np.ndarray, seed: int, allowance: Allowance = UNLIMITED) -> "Baselines":
        """What was chosen and found, fitted on the windows at `starts` [M, 2] alone."""
        learn = _examples(self.lens, windows, starts, _LEARN, np.random.default_rng([seed, 0xBA5E]), allowance)
        layout = self.lens.layout
        return dataclasses.replace(
            self,
            linear=self.linear.refit(learn, layout, allowance),
            climate=Climate.fit(learn, self.lens),
            velocity=Velocity.fit(learn, layout),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """What there is for these streams."""
        return ("mean", "hold", "velocity", "linear", *(("dead_reckoning",) if self.reckoners else ()))

    def predict(self, name: str, context: Context, actions: Commands) -> Float[np.ndarray, "B H Y"]:
        """Readings at the tick in their units, under actions [B, H, A]; NaN of what it says nothing of.

        Raises:
            ValueError: if there is no such baseline.
        """
        view = self.lens.look(context, actions)
        return self.lens.back(self.ahead(name, view), view.angle)

    def ahead(self, name: str, view: View) -> Float[Array, "B H Y"]:
        """The same, normalised and in the frame of the machine.

        Raises:
            ValueError: if there is no such baseline.
        """
        with np.errstate(all="ignore"):  # a linear model may diverge
            match name:
                case "mean":
                    return self.climate.predict(view)
                case "hold":
                    return hold_last(view)
                case "velocity":
                    return self.velocity.predict(view)
                case "linear":
                    return self.linear.predict(view, self.lens.layout)
                case "dead_reckoning" if self.reckoners:
                    return reckon(self.reckoners, view, self.linear.predict(view, self.lens.layout), self.lens)
        raise ValueError(f"{', '.join(self.names)}; not {name!r}")

    def describe(self) -> str:
        """What dead reckoning found, for people; empty where there is none."""
        return "; ".join(reckoner.describe(self.lens) for reckoner in self.reckoners)

    def save(self, path: Path) -> None:
        parts: dict[str, Any] = {
            "lens": self.lens, "climate": self.climate, "velocity": self.velocity, "linear": self.linear,
            "direct": self.linear.direct, "step": self.linear.step, "near": self.linear.near,
        }  # fmt: skip
        parts |= {f"reckoner{i}": reckoner for i, reckoner in enumerate(self.reckoners)}
        arrays = {f"{name}.{field}": value for name, part in parts.items() for field, value in vars(part).items()}
        arrays |= {f"frame.{name}": frame for name, frame in self.mean_frames.items()}
        kept = {k: v for k, v in arrays.items() if not dataclasses.is_dataclass(v)}  # those have parts of their own
        with whole_file(path, force=True) as partial:
            np.savez(partial, version=VERSION, reckoners=len(self.reckoners), **kept)

    @classmethod
    def load(cls, path: Path, layout: TickLayout) -> "Baselines":
        """What `save` wrote for streams of this layout.

        Raises:
            WorldModelError: if it cannot be read, or is of another version.
        """
        with readable(path), np.load(path) as file:
            _check_version(path, file)

            def part(kind: type, name: str, **given: Any) -> Any:
                fields = (f.name for f in dataclasses.fields(kind) if f.name not in given)
                arrays = {field: file[f"{name}.{field}"] for field in fields if f"{name}.{field}" in file}
                return kind(**{k: v if v.ndim else v.item() for k, v in arrays.items()}, **given)

            linears: dict[str, Any] = {
                "direct": part(Direct, "direct"),
                "near": part(Direct, "near"),
                "step": part(OneStep, "step"),
            }
            if "linear.choice" in file:  # older runs chose one penalty for each tick and column
                linears["shares"] = np.moveaxis(np.eye(len(PENALTIES))[file["linear.choice"]], -1, 1)
            linear = part(Linear, "linear", **linears)
            reckoners = tuple(part(Reckoner, f"reckoner{i}") for i in range(int(file["reckoners"])))
            frames = {s.name: file[f"frame.{s.name}"] for s in layout.videos}
            lens, climate = part(Lens, "lens", layout=layout), part(Climate, "climate")
            return cls(lens, climate, part(Velocity, "velocity"), linear, reckoners, frames)


def _check_version(path: Path, file: Any) -> None:
    version = int(file["version"]) if "version" in file.files else 0
    if version != VERSION:
        raise WorldModelError(
            f"{path} holds baselines of another release.",
            expected=f"version {VERSION}",
            found=f"version {version}",
            remedy="train the run again with this release",
        )


def _examples(
    lens: Lens, windows: Windows, starts: np.ndarray, count: int, rng: np.random.Generator, allowance: Allowance
) -> Examples:
    """At most `count` of the windows at `starts`, each once, fewer where they are large or time is short."""
    size = (windows.context + windows.horizon) * max(lens.layout.size, 1)
    count = enough(min(count, max(_VALUES // size, 1), len(starts)), windows, _READINGS_S, allowance)
    return lens.examples(windows, starts[np.sort(rng.permutation(len(starts))[:count])])


def enough(count: int, windows: Windows, a_second: int, allowance: Allowance) -> int:
    """How many of `count` windows there is time to fit on, for so many readings `a_second`; some always."""
    size = (windows.context + windows.horizon) * max(len(windows.layout.newest), 1)
    return allowance.most(count, _FEW, a_second / size, "fitting on as many windows")


def _split(starts: np.ndarray, span: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Starts to learn from and starts to choose on, in different episodes.

    One episode alone is cut in two, with windows of `span` ticks left out that reach across; one too short for that
    does both.
    """
    episodes = rng.permutation(np.unique(starts[:, 0]))
    if len(episodes) > 1:
        choose = np.isin(starts[:, 0], episodes[: max(len(episodes) // _TO_SELECT, 1)])
        return starts[~choose], starts[choose]
    cut = len(starts) - len(starts) // _TO_SELECT
    early, late = starts[: max(cut - span, 0)], starts[cut:]
    return (early, late) if len(early) and len(late) else (starts, starts)


def _mean_frames(windows: Windows, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """By video, the mean of frames drawn from all episodes; grey where none has any."""
    means = {}
    for spec in windows.layout.videos:
        streams = [windows.log.episodes[i].streams[spec.name] for i in windows.episodes]
        streams = [stream for stream in streams if len(stream)]
        total, count = np.zeros(spec.sample_shape), min(_FRAMES, sum(len(stream) for stream in streams))
        for stream in (streams[i] for i in rng.integers(len(streams), size=count)):
            row = int(rng.integers(len(stream)))
            total += stream.rows(row, row + 1)[0]
        means[spec.name] = np.rint(total / count if count else total + 127.5).astype(np.uint8)
    return means
