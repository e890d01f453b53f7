"""Chooses a family's training settings on the cart-pole's training log; prints a table and writes `sweep.json`.

    python -m tests.benchmarks.sweep cartpole --family rssm --minutes 2
    python -m tests.benchmarks.sweep cartpole --family residual --steps 500

One setting after another is tried at a few values, beginning with the preset's; the best goes on to the next. The best
is that with the least NRMSE on the episodes that select. Nothing held out is ever read: those that measure stay
unread too. Each trial trains in memory; what a killed sweep has finished is not done again.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worldmodel.compiled import keep_compiled
from worldmodel.files import whole_file
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.config import FAMILIES
from worldmodel.simulate import simulate
from worldmodel.training.data import Batches, measure_scaling
from worldmodel.training.evaluate import Selection
from worldmodel.training.fit import Budget, Evaluated, Source, fit
from worldmodel.training.plan import Options, new_settings
from worldmodel.training.run import build_model
from worldmodel.training.settings import RunSettings
from worldmodel.training.state import Learner

EVALUATIONS = 2
BOTH: dict[str, tuple[float, ...]] = {"learning_rate": (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2), "batch": (16, 32, 64)}
TRIED: dict[str, dict[str, tuple[float, ...]]] = {
    "residual": BOTH,
    "rssm": {**BOTH, "free_nats": (0.0, 1.0, 3.0), "warmup": (50, 100), "width": (64, 128)},
}


class Trials:
    """Trains on one log, and remembers in a file how each choice of settings scored.

    Args:
        log: the training log.
        family: of models.
        budget: of each trial.
        file: where scores are kept.
    """

    def __init__(self, log: Path, family: str, budget: Budget, file: Path) -> None:
        self.base = new_settings(Log(log), [log], Options(dynamics=family), budget.steps, budget.minutes)
        self.budget, self.file = budget, file
        cut = Log(log), self.base.layout, self.base.context, self.base.horizon
        self._learn = Windows.of(*cut, self.base.learn)
        self._selection = Selection(Windows.of(*cut, self.base.select), self.base.seed)
        self._scaling = measure_scaling(self._learn, self.base.seed)
        self.done: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []

    def preset(self, names: list[str]) -> dict[str, float]:
        """The preset's values of settings."""
        known = {**dataclasses.asdict(self.base.train), **dataclasses.asdict(self.base.model)}  # type: ignore[call-overload]
        return {name: known[name] for name in names}

    def score(self, chosen: dict[str, float]) -> float:
        """The least NRMSE on the select episodes of a training with these settings."""
        trial = {"settings": chosen, "budget": self.budget._asdict()}
        for done in self.done:
            if trial.items() <= done.items():
                return float(done["nrmse"])
        began = time.monotonic()
        result = self._fit(changed(self.base, chosen))
        self.done.append({**trial, **result, "seconds": time.monotonic() - began})
        with whole_file(self.file, force=True) as path:
            path.write_text(json.dumps(self.done, indent=1))
        return float(result["nrmse"])

    def _fit(self, settings: RunSettings) -> dict[str, float]:
        learner = Learner(build_model(settings, self._scaling), settings.train, settings.seed)
        batches = Batches(self._learn, settings.train.batch, settings.train.frames, settings.seed)
        state = learner.start(settings.horizon)
        for event in fit(learner, state, Source(batches, self._selection), self.budget):
            if isinstance(event, Evaluated):
                state = event.state
        return {"nrmse": float(state.best), "steps": int(state.step)}


def changed(settings: RunSettings, chosen: dict[str, float]) -> RunSettings:
    """Settings with some of those of the training or the model changed."""
    parts = {}
    for part in ("train", "model"):
        record: Any = getattr(settings, part)
        names = {field.name for field in dataclasses.fields(record)}
        parts[part] = dataclasses.replace(record, **{name: value for name, value in chosen.items() if name in names})
    parts["train"] = dataclasses.replace(parts["train"], evaluations=EVALUATIONS)
    return dataclasses.replace(settings, **parts)


def sweep(trials: Trials, tried: dict[str, tuple[float, ...]]) -> Iterator[tuple[dict[str, float], float]]:
    """Every trial and its score, a setting after another; the last one is the best."""
    best = trials.preset(list(tried))
    least = trials.score(best)
    yield best, least
    for name, values in tried.items():
        for other in [{**best, name: value} for value in values if value != best[name]]:
            score = trials.score(other)
            yield other, score
            if score < least:
                best, least = other, score
    yield best, least


def main() -> None:
    """Sweeps one family and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene")
    parser.add_argument("--family", choices=FAMILIES, required=True)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="of each trial, with compiling")
    length.add_argument("--steps", type=int, help="updates of each trial")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("runs/sweep"))
    options = parser.parse_args()
    keep_compiled()
    log = options.out / f"{options.scene}-{options.episodes}.h5"
    if not log.exists():
        simulate(options.scene, log, episodes=options.episodes, seed=0)
    budget = Budget(options.steps, options.minutes)
    trials = Trials(log, options.family, budget, options.out / f"{options.scene}-{options.family}.json")
    tried = TRIED[options.family]
    print(f"| {' | '.join(tried)} | NRMSE |\n|{'---|' * (len(tried) + 1)}", flush=True)
    for chosen, score in sweep(trials, tried):
        print(f"| {' | '.join(f'{value:g}' for value in chosen.values())} | {score:.4f} |", flush=True)


if __name__ == "__main__":
    main()
