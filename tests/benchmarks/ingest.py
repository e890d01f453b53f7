"""Measures ingest beside the library that reads the same file: how much of its rate is left.

    python -m tests.benchmarks.ingest
    python -m tests.benchmarks.ingest --ulog flight.ulg --rows 1000000

The reader alone decodes every value (video: every frame, scaled), and nothing is kept. Ingest detects, reads, checks
and writes a whole log. Both take turns in one process, and a second is one of the processor's; the table shows the
median ratio of the turns with the least and the most. The machine's other work widens the spread.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pyarrow.csv

from tests.logs.films import gradients, write_film
from worldmodel.logs.ingest import ingest

TURNS = 5
SIZE = (64, 64)
GOALS = {"ulog": 0.7, "mcap": 0.7, "table": 0.7, "video": 0.8}
ULOG = Path(os.environ.get("WORLDMODEL_REAL_LOGS", "../shared/data")) / "px4/sample_appended.ulg"
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
    """Of the processor."""
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(kind: str, path: Path, alone: Callable[[Path], None], out: Path) -> None:
    """Prints the row of a format."""
    ratios, spent = [], []
    for turn in range(TURNS + 1):
        plain = seconds(lambda: alone(path))
        ours = seconds(lambda: ingest(path, out / f"{kind}.h5", size=SIZE, force=True, progress=False))
        if turn:  # the first loads the libraries
            ratios.append(plain / ours)
            spent.append((plain, ours))
    plain, ours = np.median(spent, axis=0)
    told = f"{np.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"{kind:6} {path.stat().st_size / 1e6:8.1f} MB {plain:8.2f} s {ours:8.2f} s   {told}   goal {GOALS[kind]}")


def main() -> None:
    """Measures all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ulog", type=Path, default=ULOG)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table; a twentieth of it messages")
    parser.add_argument("--frames", type=int, default=600)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film = write_film(folder / "film.mp4", gradients(given.frames, 480, 640))
        print(f"load {os.getloadavg()[0]:.1f}\nformat        size   reader     ingest   ratio")
        if given.ulog.is_file():
            measure("ulog", given.ulog, read_ulog, folder)
        measure("mcap", write_mcap(folder / "a.mcap", given.rows // 20), read_mcap, folder)
        measure("table", write_table(folder / "a.csv", given.rows), read_table, folder)
        measure("video", film, read_video, folder)


if __name__ == "__main__":
    main()
