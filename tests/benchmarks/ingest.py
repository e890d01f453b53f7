"""Measures ingest beside the library that reads the same file: how much of its rate is left.

    python -m tests.benchmarks.ingest
    python -m tests.benchmarks.ingest --ulog flight.ulg --rows 1000000

The least that the work costs is the reader alone: it decodes every value of the same file into memory, by the library
that ingest uses, with as many threads (video: every frame, scaled), and keeps nothing. Ingest besides finds the format
and, for the table, a recipe, checks, hashes, and writes the log as HDF5, which all count as its own. Both take turns in
a process each, and a second is one of the processor's, over all threads. Each is as a user has it: the reader in a
plain process, ingest in one that keeps the memory that it frees, as the command does, and to a log that is not there
yet. The table shows the median ratio of the turns with the least and the most; the machine's other work widens the
spread. The flight is a real one, flown as often as `--flights` says: what an ingest costs whatever its size is 30 ms, a
third of reading 4 MB.
"""

import argparse
import multiprocessing
import os
import struct
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pyarrow.csv

from tests.logs.films import gradients, write_film
from worldmodel.allocator import keep_freed
from worldmodel.logs.ingest import ingest

TURNS = 5
SIZE = (64, 64)
GOALS = {"ulog": 0.7, "mcap": 0.7, "table": 0.7, "video": 0.8}
ULOG = Path(os.environ.get("WORLDMODEL_REAL_LOGS", "../shared/data")) / "px4/sample.ulg"
IMU = """std_msgs/Header header
geometry_msgs/Quaternion orientation
float64[9] orientation_covariance
geometry_msgs/Vector3 angular_velocity
float64[9] angular_velocity_covariance
geometry_msgs/Vector3 linear_acceleration
float64[9] linear_acceleration_covariance
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
================================================================================
MSG: geometry_msgs/Vector3
float64 x
float64 y
float64 z
================================================================================
MSG: geometry_msgs/Quaternion
float64 x
float64 y
float64 z
float64 w
"""


def write_table(path: Path, rows: int) -> Path:
    """A table of seven columns at 100 Hz."""
    data = np.random.default_rng(0).normal(size=(rows, 6)).round(6)
    names = ("ax [m/s^2]", "ay [m/s^2]", "az [m/s^2]", "gx [rad/s]", "gy [rad/s]", "gz [rad/s]")
    columns = {"time": np.arange(rows) / 100} | dict(zip(names, data.T, strict=True))
    pyarrow.csv.write_csv(pyarrow.table(columns), path)
    return path


def write_mcap(path: Path, rows: int) -> Path:
    """Messages of an IMU at 100 Hz."""
    from mcap_ros2.writer import Writer

    none = [0.0] * 9
    values = np.random.default_rng(0).normal(size=(rows, 6))
    with open(path, "wb") as file:
        writer = Writer(file)
        schema = writer.register_msgdef("sensor_msgs/msg/Imu", IMU)
        for i, (x, y, z, a, b, c) in enumerate(values.tolist()):
            ns = 1_700_000_000_000_000_000 + i * 10_000_000
            message = {
                "header": {"stamp": {"sec": ns // 10**9, "nanosec": ns % 10**9}, "frame_id": "imu"},
                "orientation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0},
                "angular_velocity": {"x": x, "y": y, "z": z},
                "linear_acceleration": {"x": a, "y": b, "z": c},
            }
            covariances = dict.fromkeys((f"{name}_covariance" for name in list(message)[1:]), none)
            writer.write_message("/imu", schema, SimpleNamespace(**message | covariances), ns)
        writer.finish()
    return path


def lengthen(path: Path, out: Path, times: int) -> Path:
    """A flight several times, one after the other, its messages' clocks moved on."""
    content = path.read_bytes()
    places, at = [], 16  # after the header
    while at + 3 <= len(content):
        size, kind = struct.unpack_from("<Hc", content, at)
        if kind == b"D" and at + 3 + size <= len(content):
            places.append((at, at + 3 + size))
        at += 3 + size
    first = places[0][0]
    data = [bytearray(content[start:stop]) for start, stop in places]
    stamps = [struct.unpack_from("<Q", message, 5)[0] for message in data]
    step = max(stamps) - min(stamps) + 10_000
    with open(out, "wb") as file:
        file.write(content[:first])
        for turn in range(times):
            for message, stamp in zip(data, stamps, strict=True):
                struct.pack_into("<Q", message, 5, stamp + turn * step)
                file.write(message)
    return out


def read_ulog(path: Path) -> None:
    from pyulog import ULog

    ULog(str(path))


def read_mcap(path: Path) -> None:
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    with open(path, "rb") as file:
        for _ in make_reader(file, decoder_factories=[DecoderFactory()]).iter_decoded_messages(log_time_order=False):
            pass


def read_table(path: Path) -> None:
    pyarrow.csv.read_csv(path)


def read_video(path: Path) -> None:
    with av.open(str(path)) as film:
        film.streams.video[0].thread_type = "AUTO"
        for frame in film.decode(video=0):
            frame.reformat(*SIZE, format="rgb24", interpolation="AREA").to_ndarray()


def seconds(work: Callable[[], object]) -> float:
    """Of the processor, for a work of this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(kind: str, path: Path, alone: Callable[[Path], None], out: Path) -> None:
    """Prints the row of a format."""
    log = out / f"{kind}.h5"
    work = partial(ingest, path, log, size=SIZE, progress=False)
    process = partial(ProcessPoolExecutor, 1, multiprocessing.get_context("spawn"))
    ratios, spent = [], []
    with process() as reader, process(keep_freed) as ours:
        for turn in range(TURNS + 1):
            log.unlink(missing_ok=True)
            took = reader.submit(seconds, partial(alone, path)).result(), ours.submit(seconds, work).result()
            if turn:  # the first loads the libraries
                ratios.append(took[0] / took[1])
                spent.append(took)
    plain, all_of_it = np.median(spent, axis=0)
    told = f"{np.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    size = path.stat().st_size / 1e6
    print(f"{kind:6} {size:8.1f} MB {plain:8.2f} s {all_of_it:8.2f} s   {told}   goal {GOALS[kind]}")


def main() -> None:
    """Measures all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ulog", type=Path, default=ULOG)
    parser.add_argument("--flights", type=int, default=10, help="how often the flight is flown")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table; a twentieth of it messages")
    parser.add_argument("--frames", type=int, default=600)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film = write_film(folder / "film.mp4", gradients(given.frames, 480, 640))
        print(f"load {os.getloadavg()[0]:.1f}\nformat        size   reader     ingest   ratio")
        if given.ulog.is_file():
            measure("ulog", lengthen(given.ulog, folder / "a.ulg", given.flights), read_ulog, folder)
        measure("mcap", write_mcap(folder / "a.mcap", given.rows // 20), read_mcap, folder)
        measure("table", write_table(folder / "a.csv", given.rows), read_table, folder)
        measure("video", film, read_video, folder)


if __name__ == "__main__":
    main()
