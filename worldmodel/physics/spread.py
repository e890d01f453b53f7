"""How much wider a scene's members must be spread, measured on recordings and kept beside the scene."""

import dataclasses
import json
from collections.abc import Callable
from itertools import starmap
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from worldmodel.errors import WorldModelError
from worldmodel.files import readable, whole_file
from worldmodel.imagine.calibration import LEVEL, central_interval, conformal_level, doubling
from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context, Windows
from worldmodel.models.objective import at_sample_times
from worldmodel.simulate.identification.writing import SPREAD_FILE
from worldmodel.types import Commands

FORMAT, VERSION = "worldmodel-spread", 1
_WINDOWS, _MEMBERS = 128, 32
_LIMITS, _HALVINGS = (0.1, 1000.0), 12  # a factor is then known to a quarter of a per cent


class Drawn(NamedTuple):
    """Futures of B windows, as features.

    Attributes:
        clean: [B, H, D] the prediction.
        apart: [B, K, H, D] how far each member is from it, without noise.
        noise: [B, K, H, D] what its sensors read more than there is.
        unstable: bool [B] windows that could not be simulated, which hold their last readings.
    """

    clean: np.ndarray
    apart: np.ndarray
    noise: np.ndarray
    unstable: np.ndarray


@dataclasses.dataclass(frozen=True)
class Spread:
    """Factors of members' distances from the prediction.

    Attributes:
        horizons_s: by stream, seconds ahead [T].
        factors: by stream, [T] at these; between them by the logarithm of time.
        episodes_sha256: of the episodes that it was measured on, `Episode.sha256`; empty where that is not known.
    """

    horizons_s: dict[str, np.ndarray]
    factors: dict[str, np.ndarray]
    episodes_sha256: tuple[str, ...] = ()

    @classmethod
    def measured(cls, draw: Callable[[Context, Commands, int], Drawn], windows: Windows) -> "Spread":
        """With which 90 % intervals hold 90 % of what came in windows, by stream and horizons that double.

        Args:
            draw: futures of contexts under actions, so many members.
            windows: to measure on.

        Raises:
            WorldModelError: if no episode is long enough.
        """
        layout = windows.layout
        context, future = windows.without_video().cut(windows.starts().thinned(_WINDOWS), windows.horizon)
        age = layout.age_ticks(future.age_s)
        drawn = draw(context, future.actions, _MEMBERS)
        apart, noise = (at_sample_times(x, age[:, None]) for x in (drawn.apart, drawn.noise))
        error = np.where(future.mask, future.values - at_sample_times(drawn.clean, age), np.nan)
        horizons, factors = {}, {}
        for name, columns in layout.columns.items():
            told = {}
            for ticks in starmap(slice, doubling(windows.horizon)):
                came = error[:, ticks, columns]
                if np.isfinite(came).any():
                    middle = (ticks.start + ticks.stop + 1) / 2
                    told[middle * layout.dt] = _factor(apart[:, :, ticks, columns], noise[:, :, ticks, columns], came)
            if told:
                horizons[name], factors[name] = np.array(list(told)), np.array(list(told.values()))
        return cls(horizons, factors)

    def of(self, layout: TickLayout, horizon: int) -> np.ndarray:
        """Factors [H, D]; 1 of streams that were not measured."""
        out, time = np.ones((horizon, layout.size)), np.log((np.arange(horizon) + 1) * layout.dt)
        for name, columns in layout.columns.items():
            if name in self.factors:
                out[:, columns] = np.interp(time, np.log(self.horizons_s[name]), self.factors[name])[:, None]
        return out

    def write(self, folder: Path) -> Path:
        """Keeps it beside a scene; says where."""
        streams = {
            name: {"horizons_s": self.horizons_s[name].tolist(), "factors": each.tolist()}
            for name, each in self.factors.items()
        }
        with whole_file(folder / SPREAD_FILE, force=True) as path:
            told = {"format": FORMAT, "version": VERSION, "episodes_sha256": self.episodes_sha256, "streams": streams}
            path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        return folder / SPREAD_FILE

    @classmethod
    def read(cls, folder: Path) -> "Spread | None":
        """That of a scene; None where none was measured.

        Raises:
            WorldModelError: if its file is damaged, or of another version.
        """
        file = folder / SPREAD_FILE
        if not file.is_file():
            return None
        with readable(file):
            told = json.loads(file.read_text(encoding="utf-8"))
            if (told["format"], told["version"]) != (FORMAT, VERSION):
                raise WorldModelError(
                    f"{file} is of another version.", expected=f"{FORMAT} {VERSION}", remedy="measure it again"
                )
            horizons_s, factors = (
                {name: np.array(each[key], float) for name, each in told["streams"].items()}
                for key in ("horizons_s", "factors")
            )
            return cls(horizons_s, factors, tuple(map(str, told.get("episodes_sha256", ()))))


def _factor(
    apart: Float[np.ndarray, "B K T D"], noise: Float[np.ndarray, "B K T D"], error: Float[np.ndarray, "B T D"]
) -> float:
    """The least factor on how far members are apart with which, noise and all, their intervals hold the errors."""
    known = np.isfinite(error)
    wanted = conformal_level(int(known.any((1, 2)).sum()))
    low, high = np.log(_LIMITS)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        ends = central_interval(np.exp(middle) * apart + noise, LEVEL)
        holds = ((ends[0] <= error) & (error <= ends[1]))[known].mean() >= wanted
        low, high = (low, middle) if holds else (middle, high)
    return float(np.exp(high))
