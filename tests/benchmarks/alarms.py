"""Measures how soon a fault is told, at one false alarm an hour: surprise, against the linear model's residuals.

    python -m tests.benchmarks.alarms cartpole                # a pole that is heavier, a sensor that sticks
    python -m tests.benchmarks.alarms rover                   # wheels that slip, a sensor that sticks

Experts are trained without a network on one log, alarms calibrated on a second and their false alarms counted on a
third. Each fault is there from the start of an episode's first window on, so a delay counts from there. The rival is
the classical one: the squared Mahalanobis length of the linear model's residuals, whose limit is either chi-square's
or calibrated as ours is.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

import worldmodel as wm
from worldmodel.live.alarms import limit, runs
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples

PER_HOUR, SECONDS, LOOK_S = 1.0, 20.0, 0.2
SPANS = {"dt": 0.05, "context_s": 1.6, "horizon_s": 1.0}
FAULTS = {
    "cartpole": {"a pole five times as heavy": ("cartpole.xml", 'mass="0.2"', 'mass="1.0"')},
    "rover": {"wheels that slip": ("rover.xml", 'friction="0.8 0.8', 'friction="0.25 0.25')},
}
STUCK = {"cartpole": "cart", "rover": "gyro"}
Scores = Callable[[Windows], np.ndarray]


class Residuals(NamedTuple):
    """The linear model's, over the ticks that are looked back over: their mean and the inverse of their covariance."""

    baselines: object
    mean: np.ndarray
    precision: np.ndarray

    @classmethod
    def fit(cls, run: wm.Run, windows: Windows) -> "Residuals":
        blank = cls(run.baselines, np.zeros(1), np.zeros((1, 1)))
        left = blank._left(windows)
        return cls(run.baselines, left.mean(0), np.linalg.pinv(np.cov(left.T), rcond=1e-8))

    def scores(self, windows: Windows) -> np.ndarray:
        """Squared Mahalanobis length [N]."""
        left = self._left(windows) - self.mean
        return np.einsum("ni,ij,nj->n", left, self.precision, left)

    def _left(self, windows: Windows) -> np.ndarray:
        """Residuals [N, H * Y]; 0 where nothing came."""
        plain, starts, parts = windows.without_video(), windows.starts()[:], []
        for i in range(0, len(starts), 256):
            seen = self.baselines.lens.seen(*plain.cut(starts[i : i + 256], windows.horizon))
            error = seen.came - self.baselines.ahead("linear", seen.view)
            parts.append(np.where(seen.mask, error, 0.0).reshape(len(error), -1))
        return np.concatenate(parts)


def broken(scene: str, edit: tuple[str, str, str], folder: Path) -> Path:
    """A copy of a shipped scene with a line of its model changed."""
    file, old, new = edit
    copy = shutil.copytree(Path(__file__).parents[2] / "sim" / scene, folder / f"broken_{scene}")
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))
    return copy


def stuck(log: wm.Log, stream: str, after_s: float, out: Path) -> Path:
    """The same log, a stream of which stays at what it reads after some seconds."""
    with LogWriter(out, log.streams.values()) as writer:
        for episode in log.episodes:
            streams = {name: Samples(s.time, s.data) for name, s in episode.streams.items()}
            time, data = streams[stream]
            held = data[np.searchsorted(time, after_s)]
            streams[stream] = Samples(time, np.where((time > after_s)[:, None], held, data))
            writer.append(streams, name=episode.name)
    return out


def delays(scores: np.ndarray, windows: Windows, level: float, after_s: float) -> np.ndarray:
    """Seconds [E] from a fault to the first alarm in each episode; infinite where there is none."""
    starts = windows.starts()[:]
    when = windows.layout.time_s(starts[:, 1] + windows.horizon)
    found = []
    for episode in range(len(windows.episodes)):
        alarm = when[(starts[:, 0] == episode) & (scores > level) & (when > after_s)]
        found.append(alarm[0] - after_s if len(alarm) else np.inf)
    return np.array(found)


def rows(scene: str, folder: Path, episodes: int, usual: int) -> Iterator[str]:
    """Lines of the table, of so many episodes to train on and to break, and so many to calibrate on and to count on."""

    def record(source: Path | str, name: str, count: int, seed: int) -> wm.Log:
        path = wm.simulate(source, folder / f"{name}.h5", episodes=count, seconds=SECONDS, seed=seed, progress=False)
        return wm.Log(path)

    train = record(scene, "train", episodes, 1)
    healthy, sound = (record(scene, name, usual, seed) for name, seed in (("usual", 2), ("sound", 3)))
    run = wm.train(train.files, folder / "run", network=False, progress=False, **SPANS)
    look = round(LOOK_S / SPANS["dt"])

    def cut(log: wm.Log) -> Windows:
        return run.windows(log, look)

    watch = run.watch(healthy, false_alarms_per_hour=PER_HOUR, look_s=LOOK_S)
    residuals = Residuals.fit(run, cut(healthy))

    def surprise(windows: Windows) -> np.ndarray:
        return watch.scores_of(windows)[0].max(1)

    group, dt = cut(healthy).starts()[:, 0], SPANS["dt"]
    squared = residuals.scores(cut(healthy))
    degrees, apart = int(np.linalg.matrix_rank(residuals.precision)), round(1 / dt)
    chance = PER_HOUR * dt / 3600
    ways: dict[str, tuple[Scores, float]] = {
        "surprise": (surprise, watch.surprise_limit),
        "chi-square of linear": (residuals.scores, float(chi2.isf(chance, degrees))),
        "the same, calibrated": (residuals.scores, limit(squared, group, apart, dt, PER_HOUR)),
    }
    faults = {
        name: (record(broken(scene, edit, folder), "broken", episodes, 4), SPANS["context_s"])
        for name, edit in FAULTS[scene].items()
    }
    sticks = stuck(sound, STUCK[scene], 8.0, folder / "stuck.h5")
    faults[f"{STUCK[scene]} sticks"] = wm.Log(sticks), 8.0
    yield f"{scene}: calibrated on {len(squared) * dt / 3600:.2f} h, false alarms counted on as much"
    for way, (scores, level) in ways.items():
        windows = cut(sound)
        found = scores(windows)
        peaks = runs(found, windows.starts()[:, 0], apart)
        hours = len(found) * dt / 3600
        yield f"{way:24} {(peaks > level).sum() / hours:8.1f} false alarms an hour"
        for fault, (log, after_s) in faults.items():
            told = delays(scores(cut(log)), cut(log), level, after_s)
            delay = f"median {np.median(told):6.2f} s, mean {np.minimum(told, SECONDS).mean():6.2f} s"
            yield f"{way:24} {fault:28} {np.isfinite(told).mean():5.0%} told, {delay}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", choices=FAULTS)
    parser.add_argument("--episodes", type=int, default=20, help="of 20 s, to train on, and with the fault")
    parser.add_argument("--usual", type=int, default=40, help="episodes to calibrate on, and as many to count on")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for line in rows(given.scene, Path(folder), given.episodes, given.usual):
            print(line, flush=True)


if __name__ == "__main__":
    main()
