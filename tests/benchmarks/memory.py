"""Measures how much more memory training takes on a log that is ten times as large, and an ingest of a larger table.

    python -m tests.benchmarks.memory
    python -m tests.benchmarks.memory --data        # what reads the log alone, in a minute
    python -m tests.benchmarks.memory --ingest      # tables of 1.4 and 4.3 GiB, on 10 GiB of disk
    python -m tests.benchmarks.memory --repeats 5 --folder /var/tmp --out memory.json

Three logs of sensors, an action and video: a small one, one with ten times as many episodes, and one whose episodes are
ten times as long. Each is trained on in fresh processes, by turns, with a warm compile cache, so that the compiler's
own peak hides nothing. With --data nothing is compiled: a process opens the log, aligns it, measures its statistics and
cuts batches, and is so much smaller that what the data take weighs more.

With --ingest tables of numbers become logs, which are read in three pieces and in nine.

/proc/PID/status, also of the processes that it has started, is read while they run (Linux), and the table shows the
median peak of:

    own     RssAnon + RssShmem, what the process has allocated. The goal is for this one.
    mapped  RssFile, pages of files that the process has touched: the libraries' and the log's. They hold what lies in
            the system's cache anyway, and the kernel takes them back without writing anything when others need memory.
    all     VmRSS, the sum of both as it was at one moment.
"""

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv

from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

GOAL = 1.05  # of the small log's own memory
EPISODES, SECONDS, TIMES = 12, 20.0, 10
BLOCKS, ROWS = 8, 980_000  # of a piece
SAMPLE_S = 0.02
SIZE = (64, 64)
IMU_COLUMNS = ("gyro_x", "gyro_y", "gyro_z", "acc_x", "acc_y", "acc_z")
SPECS = (
    StreamSpec("imu", "sensor", IMU_COLUMNS, ("rad/s",) * 3 + ("m/s^2",) * 3, 400.0),
    StreamSpec("speed", "sensor", ("v",), ("m/s",), 50.0),
    StreamSpec("camera", "video", ("red", "green", "blue"), ("", "", ""), 10.0, size=SIZE),
    StreamSpec("force", "action", ("f",), ("N",), 100.0),
)


DATA = """
import sys
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.training.data import Batches, measure_scaling
log = Log(sys.argv[1])
log.copies()
windows = Windows.of(log, TickLayout(0.01, tuple(log.streams.values())), 16, 16)
measure_scaling(windows, 0)
batches = Batches(windows, 64, 1, 0, [0] * len(log.episodes), [1.0])
for step in range(200):
    batches.at(step, 16)
"""


class Peak(NamedTuple):
    """The most that a process held, in MiB."""

    own: float
    mapped: float
    all: float


def samples(spec: StreamSpec, seconds: float, rng: np.random.Generator) -> Samples:
    """Noise; what is learned does not matter here."""
    time = np.arange(round(seconds * spec.rate_hz)) / spec.rate_hz
    shape = (len(time), *spec.sample_shape)
    if spec.kind == "video":
        return Samples(time, rng.integers(0, 256, shape, np.uint8))
    return Samples(time, rng.standard_normal(shape, np.float32))


def write(path: Path, episodes: int, seconds: float) -> Path:
    """A log of so many episodes, no two alike."""
    rng = np.random.default_rng([episodes, round(seconds)])
    with LogWriter(path, SPECS) as writer:
        for _ in range(episodes):
            writer.append({spec.name: samples(spec, seconds, rng) for spec in SPECS})
    return path


def write_table(path: Path, times: int) -> Path:
    """A table of text with so many times as many rows, no two alike."""
    rng = np.random.default_rng(times)
    names = ("time_s", "ax_mps2", "ay_mps2", "az_mps2", "gx_radps", "gy_radps", "gz_radps")
    with open(path, "wb") as file:
        for block in range(BLOCKS * times):
            time = 0.001 * (np.arange(ROWS) + block * ROWS)
            columns = np.c_[time, rng.standard_normal((ROWS, 6))].round(6).T
            table = pa.table(dict(zip(names, columns, strict=True)))
            csv.write_csv(table, file, csv.WriteOptions(include_header=block == 0))
    return path


def training(folder: Path, steps: int, preset: str) -> list[object]:
    """The words after `python` of a command that trains; the log's name comes last."""
    spans = ["--dt", 0.01, "--context", 0.16, "--horizon", 0.16]
    return [
        "-m",
        "worldmodel",
        "train",
        "--out",
        folder / "run",
        "--force",
        "--preset",
        preset,
        "--steps",
        steps,
        *spans,
    ]


def peak(command: list[object], log: Path, folder: Path) -> Peak:
    """What a fresh process holds at most while it runs on a log."""
    environment = os.environ | {"TMPDIR": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    line = [sys.executable, *map(str, command), str(log)]
    with open(folder / "said.txt", "w+") as said:
        process = subprocess.Popen(line, env=environment, stdout=said, stderr=said)
        most = Peak(*map(max, zip(*watched(process), strict=True)))
        if process.returncode:
            said.seek(0)
            sys.exit(f"{log.name}: the process failed:\n{said.read()}")
    return most


def watched(process: subprocess.Popen) -> Iterator[Peak]:
    """What a process holds, time and again until it ends."""
    yield Peak(0, 0, 0)
    while process.poll() is None:
        held = [held_by(pid) for pid in (process.pid, *started_by(process.pid))]
        yield Peak(*map(sum, zip(*held, strict=True)))
        time.sleep(SAMPLE_S)


def started_by(pid: int) -> list[int]:
    """The processes that a process has started."""
    with contextlib.suppress(OSError):  # it is ending
        return [int(each) for file in Path(f"/proc/{pid}/task").glob("*/children") for each in file.read_text().split()]
    return []


def held_by(pid: int) -> Peak:
    """What one process holds."""
    with contextlib.suppress(OSError):
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        if "RssAnon" in fields:  # a process that is ending has no memory
            anon, shared, file = (int(fields[name].split()[0]) / 1024 for name in ("RssAnon", "RssShmem", "RssFile"))
            return Peak(anon + shared, file, anon + shared + file)
    return Peak(0, 0, 0)


def measure(command: list[object], logs: dict[str, Path], folder: Path, repeats: int) -> dict[str, list[Peak]]:
    """Peaks on each log, by turns, after a process on each that only warms the compile cache: shapes follow the log."""
    for log in logs.values():
        peak(command, log, folder)
    peaks: dict[str, list[Peak]] = {name: [] for name in logs}
    for _, name in itertools.product(range(repeats), logs):
        peaks[name].append(peak(command, logs[name], folder))
    return peaks


def table(logs: dict[str, Path], peaks: dict[str, list[Peak]]) -> tuple[list[str], dict[str, dict[str, float]]]:
    """Lines to print, and by log the ratio of each median to the small log's."""
    median = {name: Peak(*map(statistics.median, zip(*found, strict=True))) for name, found in peaks.items()}
    first = next(iter(median.values()))
    ratios = {n: {f: getattr(m, f) / getattr(first, f) for f in Peak._fields} for n, m in median.items()}
    lines = [f"{'peak MiB':24}{'log':>8}" + "".join(f"{field:>9}{'ratio':>7}" for field in Peak._fields)]
    for name, log in logs.items():
        figures = "".join(f"{getattr(median[name], f):9.1f}{ratios[name][f]:7.3f}" for f in Peak._fields)
        spread = f"   own {min(p.own for p in peaks[name]):.1f} to {max(p.own for p in peaks[name]):.1f}"
        lines.append(f"{name:24}{log.stat().st_size / 2**20:8.0f}{figures}{spread}")
    return lines, ratios


def main() -> None:
    """Prints the table, and exits with 1 where a bigger log takes more than the goal allows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="store_true", help="leave the training out")
    parser.add_argument("--ingest", action="store_true", help="measure that instead")
    parser.add_argument("--repeats", type=int, default=1, help="processes a log; one takes a minute or two")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--preset", default="debug", help="the smallest, beside which the data weigh most")
    parser.add_argument("--folder", type=Path, help="where a GiB is free on a disk; by default that of TMPDIR")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        folder = Path(place)
        if given.ingest:
            logs = {f"{times} pieces": write_table(folder / f"{times}.csv", times) for times in (3, 9)}
            command: list[object] = ["-m", "worldmodel", "ingest", "--force", "--out", folder / "log.h5"]
            peaks = {name: [peak(command, log, folder) for _ in range(given.repeats)] for name, log in logs.items()}
        else:
            sizes = {"small": (1, 1), "ten times the episodes": (TIMES, 1), "ten times as long": (1, TIMES)}
            logs = {n: write(folder / f"{n}.h5", EPISODES * e, SECONDS * s) for n, (e, s) in sizes.items()}
            command = ["-c", DATA] if given.data else training(folder, given.steps, given.preset)
            peaks = measure(command, logs, folder, given.repeats)
        lines, ratios = table(logs, peaks)
    print("\n".join(lines))
    if given.out:
        found = {name: [peak._asdict() for peak in each] for name, each in peaks.items()}
        given.out.write_text(json.dumps({"peaks_mib": found, "ratios": ratios, "goal": GOAL}, indent=1) + "\n")
    missed = [name for name, ratio in ratios.items() if ratio["own"] > GOAL]
    print(f"\n{'more than the goal: ' + ', '.join(missed) if missed else 'the goal is reached'}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
