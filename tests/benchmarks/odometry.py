"""Measures what it is worth to follow a vehicle by odometry: now, ahead, and after ten seconds without a fix.

    python -m tests.benchmarks.odometry
    python -m tests.benchmarks.odometry --drives 600 --seed 1 --out runs/odometry

The rover without its camera; experts without a network, trained once on fixes as they are read and once on places that
are followed. What a killed benchmark has finished is not done again.
"""

import argparse
from pathlib import Path
from unittest import mock

import numpy as np

from worldmodel.arrays import hold
from worldmodel.logs.align import align
from worldmodel.logs.followed import follow
from worldmodel.logs.reader import Log
from worldmodel.simulate import load_scene, simulate
from worldmodel.training import Run, load_run, train
from worldmodel.training.folder import RunFolder
from worldmodel.validate import validate
from worldmodel.validate.outages import outages

AHEAD_S, AFTER_S = (0.5, 1.0, 2.0, 3.0), (0.1, 1.0, 3.0)
SPANS = {"dt": 0.1, "context_s": 3.2, "horizon_s": 3.2, "holdout": 0.05, "network": False}
SHOWN = ("model", "hold", "linear", "dead_reckoning", "floor_reading")


def logs_of(folder: Path, drives: int, seed: int) -> dict[str, Path]:
    """Drives to train and to test on, and longer ones for the outage."""
    scene = load_scene("rover").without_video()
    made = {"train": (drives, 12.0, seed), "held_out": (40, 12.0, 10_000 + seed), "long": (24, 24.0, 20_000 + seed)}
    for name, (episodes, seconds, world) in made.items():
        if not (folder / f"{name}.h5").exists():
            simulate(scene, folder / f"{name}.h5", episodes=episodes, seconds=seconds, seed=world)
    return {name: folder / f"{name}.h5" for name in made}


def trained(folder: Path, log: Path, seed: int, followed: bool) -> Run:
    run = folder / ("followed" if followed else "as_read")
    if RunFolder(run).has_blend:
        return load_run(run)
    if followed:
        return train(log, run, minutes=3, seed=seed, **SPANS)  # type: ignore[arg-type]
    with mock.patch("worldmodel.training.trainer.find_odometers", return_value=()):
        return train(log, run, minutes=3, seed=seed, **SPANS)  # type: ignore[arg-type]


def places_now(run: Run, log: Log) -> tuple[float, float]:
    """Distances from the truth at each tick of the newest fix and of the place that is followed, root mean squares."""
    layout, columns = run.layout, run.layout.slot_columns(run.layout.spec("gps"))[-1][:2]
    errors: list[list[np.ndarray]] = [[], []]
    for episode in log.episodes:
        ticks = follow(align(episode, layout), layout, run.followers)
        truth = align(episode, layout, True, ticks.origin)
        fix, known = hold(ticks.values[:, columns], ticks.mask[:, columns], axis=0)
        place = np.where(np.isfinite(ticks.followed[:, :2]), ticks.followed[:, :2], fix)
        told = (known & truth.mask[:, columns]).all(1) & (np.arange(len(fix)) >= run.context)
        for each, found in zip(errors, (fix, place), strict=True):
            each.append(np.linalg.norm(found - truth.values[:, columns], axis=1)[told])
    fix_off, place_off = (float(np.sqrt(np.mean(np.concatenate(each) ** 2))) for each in errors)
    return fix_off, place_off


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/odometry"))
    parser.add_argument("--drives", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    logs = logs_of(args.out, args.drives, args.seed)
    for followed in (False, True):
        run = trained(args.out, logs["train"], args.seed, followed)
        with Log(logs["held_out"], truth=True) as log:
            fix_off, place_off = places_now(run, log)
        print(f"\n{'followed' if followed else 'as read'}: now {place_off:.2f} m (the newest fix {fix_off:.2f} m)")
        result = validate(run, log=logs["held_out"], progress=False)
        for name in SHOWN:
            print(f"  {name}: " + ", ".join(f"{result.rmse('gps', name, at_s=s):.3g} m at {s:g} s" for s in AHEAD_S))
        with Log(logs["long"], truth=True) as log:
            out = next(o for o in outages(run, run.windows(log), args.seed) if "gps" in o.hit)
        for name, cost in out.costs["gps"].items():
            ticks = [round(s / SPANS["dt"]) - 1 for s in AFTER_S]
            shown = ", ".join(f"{cost.faulty.rmse[t]:.3g} m at {s:g} s" for t, s in zip(ticks, AFTER_S, strict=True))
            print(f"  after ten seconds without a fix, {name}: {shown}")


if __name__ == "__main__":
    main()
