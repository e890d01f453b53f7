"""The predictors that come with the toolkit: a run, or a scene, and the baselines that it has to beat."""

from collections.abc import Collection

import numpy as np
from jaxtyping import Float

from worldmodel.codecs import codec
from worldmodel.errors import WorldModelError
from worldmodel.foreteller import Foreteller
from worldmodel.imagine.beginning import begun
from worldmodel.imagine.forecaster import Forecaster, trust
from worldmodel.logs.physical import by_stream
from worldmodel.logs.reader import Log
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.simple import hold_last
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.reach import described
from worldmodel.models.experts.team import NETWORK, Team
from worldmodel.physics import KnownScene
from worldmodel.training.beside import baselines_from
from worldmodel.training.run import Run
from worldmodel.validate.forecast import Forecast, Predictor
from worldmodel.validate.problem import Problem

FILM_MEMBERS = 4


class Model:
    """A run or a scene: members as sensors would read them, their mean free of noise, and frames.

    Args:
        run: it.
        seed: of members.
        alone: of a run, the network without the other experts.
    """

    def __init__(self, run: Foreteller, seed: int = 0, alone: bool = False) -> None:
        self.run, self.name, self._seed = run, NETWORK if alone else run.name, seed
        self._network = run.model if isinstance(run, Run) else None
        self._forecaster = Forecaster(None, self._network, seed) if alone else run.foreseer().seeded(seed)

    def predict(self, problem: Problem) -> Forecast:
        """Futures under the problem's actions; its note says where they diverge, as they may far ahead.

        Raises:
            WorldModelError: if the problem has other streams, another tick or another context than the run.
        """
        self._check(problem)
        given, frames, mean_frames = (problem.context, problem.commands), {}, {}
        for i, spec in enumerate(problem.layout.videos):
            if spec.name in problem.frame_ticks and self._network is not None:
                asked = [np.maximum(problem.frame_ticks[spec.name], 0)] * len(problem.layout.videos)
                shown = self._forecaster.futures(*given, asked, FILM_MEMBERS)
                frames[spec.name], mean_frames[spec.name] = shown.frames[i], shown.mean_frames[i]
        if not problem.readings:
            return Forecast(frames=frames, mean_frames=mean_frames)
        foreseen = self._forecaster.futures(*given, (), self.run.told_by)
        foreseen = begun(problem.layout, problem.context, problem.begins, foreseen, self._seed)
        # of features, not of physical values: so angles that wrap average rightly
        mean, members = (by_stream(problem.layout, x) for x in (foreseen.clean, foreseen.read))
        notes = [*self.run.notes, _drop_diverged(self.name, mean, members), self._outside(problem, foreseen.outside)]
        if aimless := sum(bool(each.aimless) for each in problem.begins):
            where = f"At {aimless} of {len(problem.begins)} starts it stands, and nothing tells which way it points"
            notes.append(f"{where}: members go in all directions.")
        if foreseen.unstable:
            notes.append(f"{foreseen.unstable} of {len(foreseen.clean)} simulations became unstable, and hold instead.")
        note = " ".join(filter(None, notes))
        return Forecast(mean, members, frames, note, self._trust(problem, foreseen.weights), mean_frames)

    def _outside(self, problem: Problem, outside: Float[np.ndarray, "B H columns"]) -> str:
        """A sentence on the starts that lie outside what was trained on; empty if none do."""
        count = int(outside.any((1, 2)).sum())
        if not count:
            return ""
        farthest = described(outside, problem.layout)
        named = ", ".join(f"{name} by up to {size:.1f}" for name, size in farthest.items())
        return f"{count} of {len(outside)} starts lie outside what was trained on, in standard deviations: {named}."

    def _trust(self, problem: Problem, weights: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
        names = self._forecaster.names
        return trust(names, weights.mean(1), problem.layout, problem.context) if names else {}

    def _check(self, problem: Problem) -> None:
        def shape(layout, context: int) -> str:
            streams = ", ".join(f"{s.name} ({' '.join(s.columns)})" for s in layout.streams)
            return f"{context} ticks of {layout.dt:g} s of {streams}"

        ours = shape(self.run.layout, self.run.context)
        if (given := shape(problem.layout, len(problem.past_times))) != ours:
            raise WorldModelError("The problem is not of the run's shape.", expected=ours, found=given)


def _drop_diverged(name: str, mean: dict[str, np.ndarray], members: dict[str, np.ndarray]) -> str:
    """Takes streams away that are not finite everywhere; a sentence that says which, empty if none are."""
    diverged = [s for s in mean if not (np.isfinite(mean[s]).all() and np.isfinite(members[s]).all())]
    for stream in diverged:
        del mean[stream], members[stream]
    return f"{name} diverges on {', '.join(diverged)} and is not scored there." if diverged else ""


class Baseline:
    """One of the baselines that are kept with a run. What it says nothing of it leaves out."""

    def __init__(self, baselines: Baselines, name: str) -> None:
        self.name, self._baselines = name, baselines

    def predict(self, problem: Problem) -> Forecast:
        """Its prediction; its note says where it diverges, as a linear model may."""
        ahead = self._baselines.predict(self.name, problem.context, problem.commands)
        mean, diverged = {}, []
        for spec in problem.readings:
            features = ahead[..., problem.layout.reading_columns[spec.name]]
            if np.isfinite(features).all():
                mean[spec.name] = codec(spec).physical(features)
            elif np.isfinite(features).any():
                diverged.append(spec.name)
        notes = [f"{self.name} diverges on {', '.join(diverged)} and is not scored there."] if diverged else []
        if self.name == "dead_reckoning":
            notes.append(f"Dead reckoning: {self._baselines.describe()}.")
        return Forecast(mean, frames=self._frames(problem), note=" ".join(notes))

    def _frames(self, problem: Problem) -> dict[str, np.ndarray]:
        """The mean frame of the training data, or the last that was seen, at every tick asked for."""
        out = {}
        for spec, seen in zip(problem.layout.videos, problem.context.frames, strict=True):
            one = {"mean": self._baselines.mean_frames.get(spec.name), "hold": seen[:, -1:, None]}.get(self.name)
            if one is not None and (ticks := problem.frame_ticks.get(spec.name)) is not None:
                out[spec.name] = np.broadcast_to(one, (len(ticks), 1, ticks.shape[1], *spec.sample_shape))
        return out


class _Alone:
    """One expert by itself."""

    def __init__(self, name: str, team: Team) -> None:
        self.name, self._team = name, team

    def predict(self, problem: Problem) -> Forecast:
        """Its prediction of the streams of which it knows all columns."""
        lens = self._team.lens
        view = lens.look(problem.context, problem.commands)
        ahead = lens.back(self._team.alone(self.name, view), view.angle)
        parts = {s: ahead[..., problem.layout.reading_columns[s.name]] for s in problem.readings}
        return Forecast({s.name: codec(s).physical(part) for s, part in parts.items() if np.isfinite(part).all()})


class _Hold:
    """The last readings, which nothing need be learned for."""

    name = "hold"

    def __init__(self, lens: Lens) -> None:
        self._lens = lens

    def predict(self, problem: Problem) -> Forecast:
        """Its prediction; its note says why there is none of the other baselines."""
        view = self._lens.look(problem.context, problem.commands)
        ahead = self._lens.back(hold_last(view), view.angle)
        mean = {s.name: codec(s).physical(ahead[..., problem.layout.reading_columns[s.name]]) for s in problem.readings}
        return Forecast(mean, note="The other baselines learn from a log, and none was given (--learn LOG).")


def rivals(run: Foreteller, learn: Log | None = None, measured: Collection[str] = ()) -> list[Predictor]:
    """The baselines and other experts that are kept with a run; of a scene the baselines that a log teaches, if any.

    Args:
        run: a run or a scene.
        learn: the log that baselines of a scene learn from; without one, only the last reading is held.
        measured: hashes of its episodes that they must not learn from.

    Raises:
        WorldModelError: if nothing is left to learn from.
    """
    if isinstance(run, KnownScene):
        return [_Hold(run.lens)] if learn is None else _baselines(baselines_from(run, learn, measured))
    assert isinstance(run, Run)
    beside = _baselines(run.baselines)
    if run.team is None:
        return beside
    experts = [_Alone(name, run.team) for name in run.team.rich]
    return [*beside, *experts, *([Model(run, alone=True)] if run.team.has_network else [])]


def _baselines(fitted: Baselines) -> list[Predictor]:
    return [Baseline(fitted, name) for name in fitted.names]
