"""Measures a machine's tick: what it read is pushed, and K futures are imagined.

    python -m tests.benchmarks.live RUN LOG                       # 16 futures of 1 s, sensors alone
    python -m tests.benchmarks.live RUN LOG --frames 1            # and a frame of each
    python -m tests.benchmarks.live RUN LOG --ticks 100000 --plot jitter.png

The log's episode is pushed again and again, each time later. Nothing may be compiled after the first
tick: that ends the measurement. Memory is what the process holds (VmRSS) after a tenth of the ticks, and at the end.
"""

import argparse
import gc
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

import worldmodel as wm
from worldmodel.live import Live

GOALS_MS = {0: (5, 10), 1: (25, 50)}


def samples_of(log: wm.Log, live: Live) -> Iterator[tuple[float, str, np.ndarray]]:
    """The first episode's samples in order of time, over and over."""
    episode, names = log.episodes[0], [spec.name for spec in live.layout.streams]
    every = [(t, name, v) for name in names for t, v in zip(*episode.streams[name][:], strict=True)]
    every.sort(key=lambda sample: sample[0])
    lap = np.ceil((episode.duration_s + live.layout.dt) / live.layout.dt) * live.layout.dt
    for count in range(1 << 30):
        yield from ((t + count * lap, name, value) for t, name, value in every)


def measure(run: wm.Run, log: wm.Log, given: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Seconds of each tick's pushes and of its futures, and megabytes held at a tenth of the ticks and at the end."""
    live, dt = run.live(start_s=0.0), run.layout.dt
    pushes, futures, memory = np.zeros(given.ticks), np.zeros(given.ticks), []
    begins = live.context + 2
    source, waiting = samples_of(log, live), None
    for tick in range(begins + given.ticks):
        spent = 0.0
        while True:
            at, name, value = waiting or next(source)
            if at > (tick + 0.5) * dt:
                waiting = at, name, value
                break
            waiting, began = None, time.perf_counter()
            live.push(name, at, value)
            spent += time.perf_counter() - began
        if tick < begins:
            continue
        if tick == begins:
            live.imagine(None, given.horizon, given.members, frames=given.frames)  # compiles
            gc.freeze()
            jax.monitoring.register_event_duration_secs_listener(_refuse)
        began = time.perf_counter()
        live.imagine(None, given.horizon, given.members, frames=given.frames, at_s=tick * dt)
        pushes[tick - begins], futures[tick - begins] = spent, time.perf_counter() - began
        if tick - begins in (given.ticks // 10, given.ticks - 1):
            memory.append(resident())
    return pushes, futures, memory


def _refuse(name: str, *_: object, **__: object) -> None:
    assert "compile" not in name, f"compiled after the first tick: {name}"


def resident() -> float:
    """Megabytes that the process holds."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def draw(milliseconds: np.ndarray, path: Path) -> None:
    """Every tick's time, and the share of ticks that took longer."""
    from worldmodel.draw import new_figure, style

    with style():
        figure = new_figure(9, 3)
        left, right = figure.subplots(1, 2)
        left.plot(milliseconds, ".", markersize=1)
        left.set(xlabel="tick", ylabel="ms", yscale="log")
        right.plot(np.sort(milliseconds), 1 - np.arange(len(milliseconds)) / len(milliseconds))
        right.set(xlabel="ms", ylabel="share of ticks that take longer", xscale="log", yscale="log")
        for axis in (left.yaxis, right.xaxis, right.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        figure.savefig(path)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--ticks", type=int, default=1000)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--horizon", type=float, default=1.0, help="seconds")
    parser.add_argument("--frames", type=int, default=0, help="of each video, in each future")
    parser.add_argument("--plot", type=Path, help="draw the jitter")
    given = parser.parse_args()
    run, log = wm.load(given.run), wm.Log(given.log)
    pushes, futures, memory = measure(run, log.conform(run.settings.streams), given)
    for name, part in (("pushes of a tick", pushes), ("futures", futures), ("both", pushes + futures)):
        low, p50, p99, high = np.quantile(1e3 * part, [0, 0.5, 0.99, 1])
        print(f"{name:20} p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  {low:.2f} to {high:.2f} ms")
    print(f"{run.layout.dt * 1e3:g} ms a tick; goals {GOALS_MS.get(given.frames, '-')} ms (p50, p99)")
    print(f"memory {memory[0]:.0f} MB after a tenth of {given.ticks} ticks, {memory[-1]:.0f} MB at the end")
    if given.plot:
        draw(1e3 * (pushes + futures), given.plot)


if __name__ == "__main__":
    main()
