"""Measures how many updates a second presets make on what JAX computes on, and how many batches a second are cut.

    worldmodel simulate rover --episodes 75 --seconds 12 --seed 0 --out rover.h5
    python -m tests.benchmarks.updates rover.h5 --dt 0.1 --context 3.2 --horizon 3.2 --presets small base

Rollouts have the whole horizon. A training is slower than its updates alone: it cuts its batches meanwhile, and is
evaluated.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import jax

from worldmodel.compiled import keep_compiled
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Context, Future, Windows
from worldmodel.training.data import Batches, measure_scaling
from worldmodel.training.plan import Options, new_settings
from worldmodel.training.run import draw_model
from worldmodel.training.state import Learner

TURNS = 3


def rates(work: Callable[[int], object], count: int) -> str:
    """How often a second something is done, in each of several turns, the last of which may wait for all before it."""
    found = []
    for _ in range(TURNS):
        began = time.perf_counter()
        jax.block_until_ready([work(i) for i in range(count)][-1])
        found.append(count / (time.perf_counter() - began))
    return " / ".join(f"{rate:,.1f}" for rate in sorted(found))


def measure(log: Log, asked: Options, count: int) -> None:
    """Prints a preset's figures."""
    settings = new_settings(log, log.files, asked, steps=1)
    windows = Windows.of(log, settings.layout, settings.context, settings.horizon, settings.learn)
    batches = Batches(windows, settings.train.batch, settings.train.frames, seed=0)
    learner = Learner(draw_model(settings, measure_scaling(windows, 0)), settings.train, seed=0)
    state, batch = learner.start(settings.horizon), batches.at(0, settings.horizon)

    def update(batch: tuple[Context, Future]) -> jax.Array:
        return learner.update(state, batch, 1e-4)[1]

    began = time.perf_counter()
    jax.block_until_ready(update(batch))
    print(f"{asked.preset}: {settings.train.batch} windows an update, compiled in {time.perf_counter() - began:.0f} s")
    there = jax.device_put(batch)
    print(f"  updates a second {rates(lambda _: update(batch), count)}")
    print(f"  of a batch that is there {rates(lambda _: update(there), count)}")
    print(f"  batches a second {rates(lambda i: batches.at(i, settings.horizon)[0].values, count)}", flush=True)


def main() -> None:
    """Prints, for each preset, updates and batches a second: the least, the median and the most of three turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("--presets", nargs="+", default=["small"])
    parser.add_argument("--count", type=int, default=100, help="updates a turn")
    for name in ("dt", "context", "horizon"):
        parser.add_argument(f"--{name}", type=float, help="seconds, as of train")
    asked = parser.parse_args()
    keep_compiled()
    print(f"jax {jax.__version__} on {jax.devices()[0].device_kind}")
    for preset in asked.presets:
        options = Options(preset=preset, dt=asked.dt, context=asked.context, horizon=asked.horizon)
        measure(Log([asked.log]), options, asked.count)


if __name__ == "__main__":
    main()
