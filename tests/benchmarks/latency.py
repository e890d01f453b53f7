"""Measures how long a user waits: for the first imagined future of a new process, for the next, for the command line's
first word and its last.

    python -m tests.benchmarks.latency                      # makes a small rover run first, in about a minute
    python -m tests.benchmarks.latency --run RUN --log LOG  # on a run that there is

Everything is measured in one call on one machine, the compiled model beside what is built around it. Fresh processes
share a compile cache of their own in a temporary folder: the first finds it empty, the later ones find it warm.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

START = {"episode": 0, "at_s": 5.0}
REPEATS, PROCESSES = 15, 5

FIRST = """
import worldmodel as wm
run = wm.load({run!r})
run.imagine({log!r}, episode=0, at_s=5.0)
"""
LOAD = """
import time, pathlib, worldmodel as wm
wm.load
files = [path for path in pathlib.Path({run!r}).rglob("*") if path.is_file()]
began = time.perf_counter()
for path in files: path.read_bytes()
read = time.perf_counter() - began
began = time.perf_counter()
wm.load({run!r})
print(time.perf_counter() - began - read)
"""


class Row(NamedTuple):
    """One figure of the table: seconds of each repeat, and the goal in seconds where there is one."""

    name: str
    seconds: list[float]
    goal: float | None = None

    def __str__(self) -> str:
        low, middle, high = min(self.seconds), statistics.median(self.seconds), max(self.seconds)
        verdict = "" if self.goal is None else f"{self.goal:8.3f}  {'yes' if middle <= self.goal else 'NO'}"
        return f"{self.name:52} {middle:8.3f}  {low:7.3f} to {high:<7.3f} {verdict}"


def small_rover_run(folder: Path) -> tuple[Path, Path]:
    """A run of the demo's shape (its ticks, spans and preset) that has hardly learned, and a log for it."""
    import worldmodel as wm

    log = wm.simulate("rover", folder / "rover.h5", episodes=6, seconds=10, progress=False)
    spans = {"dt": 0.1, "context_s": 3.2, "horizon_s": 3.2}
    wm.train([log], folder / "run", steps=5, progress=False, **spans)
    return folder / "run", log


def within_a_process(run: Path, log: Path) -> Iterator[Row]:
    """The compiled model and the whole of `run.imagine`, by turns, so that both meet the same machine."""
    import jax

    import worldmodel as wm

    opened = wm.load(run)
    opened.imagine(log, **START)
    program, inputs = compiled_call(opened, log)
    bare, whole = [], []
    for _ in range(REPEATS):
        bare.append(timed(lambda: jax.block_until_ready(program(*inputs))))
        whole.append(timed(lambda: opened.imagine(log, **START)))
    yield Row("compiled model call", bare)
    yield Row("next imagined future in the process", whole, 1.2 * statistics.median(bare) + 0.02)
    aligning = [timed(lambda e=e: opened.imagine(log, **{**START, "episode": e})) for e in (1, 2, 3)]
    yield Row("the first of another episode, which is aligned", aligning)


def compiled_call(run, log):
    """The compiled program and the very inputs that `run.imagine` gives it."""
    imaginer, inputs = run.session.forecaster._imaginer, []
    program = imaginer._compiled
    imaginer._compiled = lambda *given: inputs.append(given) or program(*given)
    run.imagine(log, **START)
    imaginer._compiled = program
    return program, inputs[0]


def fresh_processes(run: Path, log: Path, folder: Path) -> Iterator[Row]:
    """From the start of a process to its end, and the loading alone; the compile cache is in `folder`."""
    environment = {k: v for k, v in os.environ.items() if k not in ("WORLDMODEL_CACHE", "JAX_COMPILATION_CACHE_DIR")}
    environment["XDG_CACHE_HOME"] = str(folder / "cache")
    first, load = (code.format(run=str(run), log=str(log)) for code in (FIRST, LOAD))
    line = ["-m", "worldmodel", "imagine", run, log, "--episode", 0, "--at", 5, "--force", "--out", folder / "imagined"]

    def spoke(*words: object) -> float:
        """Seconds to the first line."""
        began = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-u", *map(str, words)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdout
            process.stdout.readline()
            seconds = time.perf_counter() - began
            process.kill()
        return seconds

    def ran(*words: object) -> tuple[float, str]:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *map(str, words)], env=environment, check=True, capture_output=True, text=True
        )
        return time.perf_counter() - began, done.stdout

    yield Row("import worldmodel", [ran("-c", "import worldmodel")[0] for _ in range(PROCESSES)])
    train = ["-m", "worldmodel", "train", log, "--out", folder / "killed", "--force"]
    yield Row("worldmodel train, its first word", [spoke(*train) for _ in range(PROCESSES)], 2.0)
    yield Row("first future of a process, empty cache", [ran("-c", first)[0]])
    yield Row("first future of a process, warm cache", [ran("-c", first)[0] for _ in range(PROCESSES)], 4.0)
    yield Row("wm.load, beyond reading the files", [float(ran("-c", load)[1]) for _ in range(PROCESSES)], 0.5)
    yield Row("worldmodel imagine (files, plot, film), warm cache", [ran(*line)[0] for _ in range(PROCESSES)])


def timed(function: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a trained run")
    parser.add_argument("--log", type=Path, help="a log for it, of four episodes of more than 8.2 s")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run, log = (given.run, given.log) if given.run else small_rover_run(folder)
        print(f"{'seconds':52} {'median':>8}  {'range':18}  {'goal':>7}  met", flush=True)
        for row in itertools.chain(fresh_processes(run, log, folder), within_a_process(run, log)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
