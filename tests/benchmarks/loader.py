"""Measures how fast windows of video come out of a log, beside a bare memory map of the same frames.

    python -m tests.benchmarks.loader
    python -m tests.benchmarks.loader --sizes 224 --frames 8000

Every way hands over the same windows, in batches of one size, from files that the system has in its cache: in a first
table 16 consecutive frames at any start, in a second what an update of a training takes, two frames that are seen and
one that is asked for (`Windows.cut`, all of it). They take turns, so that whatever else the machine does is shared by
all, and a second is one of the processor's. A ratio is taken within a turn; the table shows the median with the least
and the most, and the load of the machine, which competes for caches and bandwidth and so widens the spread.

The memory map keeps all its pages in the process. Ours lets go of them from time to time, so that they do not grow with
the log; "let go" does so after every batch, "keep" never here.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from worldmodel.logs import frame_store
from worldmodel.logs.align import TickLayout
from worldmodel.logs.frame_store import FrameStore
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

WINDOW, BATCH = 16, 8
TRAIN_BATCH, CONTEXT, HORIZON, DT = 64, 16, 16, 0.1
TURNS, TURN_S = 9, 0.5
GOALS = {224: 0.8}  # by size, of the memory map's rate
YARDSTICK = "memory map"

# Numbers of windows [B] to uint8 [B, WINDOW, rows, columns, 3], or [B, 2, ...] that are seen and [B, 1, ...] asked for.
Read = Callable[[np.ndarray], np.ndarray | tuple[np.ndarray, np.ndarray]]


def frames(count: int, size: int) -> Iterator[np.ndarray]:
    """Blocks of frames of a moving pattern with a little noise, which compresses as a camera's do."""
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(size), np.arange(size))[..., None] * np.array([1, 2, 3])
    for start in range(0, count, 100):
        moved = ramp + np.arange(start, min(start + 100, count))[:, None, None, None]
        yield (moved + rng.integers(0, 4, moved.shape)).astype(np.uint8)


def write(folder: Path, count: int, size: int) -> None:
    """The same frames as a bare file, a log as the writer makes it, one in one piece, and a compressed one."""
    camera = StreamSpec("camera", "video", ("red", "green", "blue"), ("", "", ""), 10.0, size=(size, size))
    with LogWriter(folder / "log.h5", [camera]) as writer, open(folder / "bare", "wb") as bare:
        for block in frames(count, size):
            writer.append({"camera": Samples(np.arange(len(block)) / 10, block)})
            bare.write(block.tobytes())
    for name, how in (("whole", {}), ("packed", {"chunks": (WINDOW, size, size, 3), **hdf5plugin.Bitshuffle()})):
        (folder / f"{name}.h5").write_bytes((folder / "log.h5").read_bytes())
        with h5py.File(folder / f"{name}.h5", "r+") as file:
            data = file["streams/camera/data"][:]
            del file["streams/camera/data"]
            file["streams/camera"].create_dataset("data", data=data, **how)
    for path in folder.iterdir():
        reread(path)


def reread(path: Path) -> None:
    """Has the system cache a file as it does when it comes from a disk: what was just written lies there otherwise."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.read(1 << 20):
            pass


def ways(folder: Path, count: int, size: int) -> dict[str, Read]:
    """Each way of reading windows, by name."""
    bare = np.memmap(folder / "bare", np.uint8, "r", shape=(count, size, size, 3))
    plain = h5py.File(folder / "log.h5")["streams/camera/data"]
    ahead = np.arange(WINDOW)

    def ours(name: str, keep: int = frame_store.MAPPED_BYTES) -> Read:
        log = Log(folder / f"{name}.h5")
        store = FrameStore(log, "camera", range(len(log.episodes)))
        store.maps.keep = keep
        # Windows may lie across episodes here, since frames are counted from the first episode's first.
        return lambda starts: store.gather(np.zeros((len(starts), 1), int), starts[:, None] + ahead)

    return {
        YARDSTICK: lambda starts: np.stack([bare[s : s + WINDOW] for s in starts]),
        "our log": ours("log"),
        "our log, let go": ours("log", 0),
        "our log, keep": ours("log", 1 << 40),
        "our log, one piece": ours("whole"),
        "our log, bitshuffle-lz4": ours("packed"),
        "h5py": lambda starts: np.stack([plain[s : s + WINDOW] for s in starts]),
    }


def training_ways(folder: Path, count: int, size: int) -> tuple[dict[str, Read], int]:
    """What a training cuts for its updates, and the same frames from the memory map; and how many windows there are."""
    bare = np.memmap(folder / "bare", np.uint8, "r", shape=(count, size, size, 3))
    log = Log(folder / "log.h5")
    windows = Windows.of(log, TickLayout(DT, tuple(log.streams.values())), CONTEXT, HORIZON)
    every, asked = np.asarray(windows.starts()), HORIZON // 2
    now = windows.ticks.ends[every[:, 0]] + every[:, 1]  # a tick has one frame

    def ours(starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ticks = windows.frame_ticks(every[starts], np.full((len(starts), 1), asked), HORIZON)
        context, future = windows.cut(every[starts], HORIZON, ticks)
        return context.frames[0], future.frames[0]

    def yardstick(starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = np.stack([bare[t - 1 : t + 1] for t in now[starts]])
        return seen, np.stack([bare[t + 1 + asked : t + 2 + asked] for t in now[starts]])

    return {YARDSTICK: yardstick, "our log": ours}, len(every)


def rate(read: Read, last: int, batch: int, rng: np.random.Generator) -> float:
    """Windows a second."""
    began, done = time.thread_time(), 0
    while (passed := time.thread_time() - began) < TURN_S:
        read(rng.integers(last, size=batch))
        done += batch
    return done / passed


def compare(title: str, reads: dict[str, Read], last: int, batch: int) -> float:
    """Prints a table of ways to read windows 0 ... `last` - 1; the median ratio of our log to the memory map."""
    rng = np.random.default_rng(1)
    same = rng.integers(last, size=batch)
    for read in reads.values():
        assert all(map(np.array_equal, read(same), reads[YARDSTICK](same)))
        for start in range(0, last, WINDOW):  # every page once, so that the first turn is like the others
            read(np.array([start]))
    rates: dict[str, list[float]] = {name: [] for name in reads}
    for turn in range(TURNS):
        for name in np.roll(list(reads), turn):
            rates[name].append(rate(reads[name], last, batch, rng))
    print(f"\n{title}; {TURNS} turns, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print(f"{'':26}{'windows/s':>10}   of the memory map")
    ratios = {name: np.divide(rates[name], rates[YARDSTICK]) for name in reads}
    for name, ratio in ratios.items():
        spread = f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})"
        print(f"{name:26}{np.median(rates[name]):10.0f}   {spread}")
    return float(np.median(ratios["our log"]))


def tables(folder: Path, count: int, size: int) -> list[float]:
    """Prints both tables of one size; the ratios of our log to the memory map."""
    write(folder, count, size)
    trained, windows = training_ways(folder, count, size)
    what = f"{size}x{size}, {count} frames"
    return [
        compare(f"{what}, {WINDOW} at a time", ways(folder, count, size), count - WINDOW, BATCH),
        compare(f"{what}, as training takes them", trained, windows, TRAIN_BATCH),
    ]


def main() -> None:
    """Prints the tables, and exits with 1 where our log misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 64])
    parser.add_argument("--frames", type=int, help="how many; by default as many as make 400 MB")
    options = parser.parse_args()
    missed = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as place:
            reached = tables(Path(place), options.frames or 400_000_000 // (3 * size**2), size)
        missed += [f"{r:.2f} at {size}x{size} is less than {GOALS[size]}" for r in reached if r < GOALS.get(size, 0)]
    print(f"\n{'; '.join(missed) or 'the goal is reached'}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
