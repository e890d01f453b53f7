"""Feeds an importer damaged copies of a file or folder, and keeps those that it did not take or refuse as it should.

    python -m tests.fuzz ulog ../shared/data/px4/short.ulg --inputs 100000
    python -m tests.fuzz can drive.blf --dbc car.dbc
    python -m tests.fuzz donkeycar ../shared/data/donkeycar/data --inputs 10000

An input has to be read, or end in an error of the toolkit's, within seconds and bounded memory. Anything else (another
exception, a hang, a crash) is a finding: its input is kept in `--out`, and the exit code is 1. The same seed makes the
same inputs.
"""

import argparse
import collections
import faulthandler
import itertools
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from worldmodel.errors import WorldModelError
from worldmodel.logs.ingest.importer import Options, importer

LONGEST_S = 10
MEMORY_BYTES = 8 << 30
WORDS = (b"\x00" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"nan,", b"1e99", b"\n\n\n\n", b"-1,,")


def damaged(content: bytes, rng: random.Random) -> bytes:
    """A copy with one to four faults of transfer and storage."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice(FAULTS)(data, rng)
    return bytes(data)


def flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 8))):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data) + 1) :]


def lose(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.choice((1, 4, 64, 4096))]


def repeat(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data) + 1)
    data[start:start] = data[start : start + rng.choice((1, 4, 64, 4096))]


def overwrite(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data) + 1)
    data[start : start + 4] = rng.choice(WORDS)


FAULTS: tuple[Callable[[bytearray, random.Random], None], ...] = (flip, flip, cut, lose, repeat, overwrite, overwrite)


class HangError(BaseException):
    """It took too long; no reader takes it for an error of its own."""


def outcome(read: Callable[[], object]) -> str:
    """What came of reading one input: `read`, `refused`, or the exception that should not have come."""
    signal.alarm(LONGEST_S)
    try:
        read()
    except WorldModelError:
        return "refused"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {error}".splitlines()[0][:120]
    finally:
        signal.alarm(0)
    return "read"


def _hang(*_: object) -> None:
    raise HangError(f"longer than {LONGEST_S} s")


def fuzz(kind: str, source: Path, inputs: int, seed: int, out: Path, options: Options) -> collections.Counter[str]:
    """Reads `inputs` damaged copies of a source, and counts what came of them."""
    counts: collections.Counter[str] = collections.Counter()
    rng, reader = random.Random(seed), importer(kind)
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as scratch:
        copy = Path(scratch) / source.name
        shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
        files = [copy] if copy.is_file() else sorted(path for path in copy.rglob("*") if path.is_file())
        for path in [copy, *files]:
            path.chmod(path.stat().st_mode | 0o600)
        whole = {path: path.read_bytes() for path in files}
        began = time.monotonic()
        for number in range(inputs):
            path = rng.choice(files)
            path.write_bytes(damaged(whole[path], rng))

            def read() -> None:
                reader.claims(copy)
                for recording in itertools.islice(reader.read(copy, options), 1000):
                    for samples in recording.samples.values():
                        samples.data[:1]

            found = outcome(read)
            counts[found] += 1
            if found not in ("read", "refused") and counts[found] == 1:
                out.mkdir(parents=True, exist_ok=True)
                kept = out / f"{kind}-{seed}-{number}-{path.name}"
                kept.write_bytes(path.read_bytes())
                print(f"{found}\n  kept as {kept}", flush=True)
            path.write_bytes(whole[path])
            if number % 1000 == 999:
                print(f"{number + 1} inputs, {(number + 1) / (time.monotonic() - began):.0f} a second", flush=True)
    return counts


def main() -> None:
    """Fuzzes one importer and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format")
    parser.add_argument("source", type=Path)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("--recipe")
    parser.add_argument("--dbc", type=Path, action="append", default=[], help="for CAN logs; may be given again")
    given = parser.parse_args()
    faulthandler.enable()
    signal.signal(signal.SIGALRM, _hang)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with tempfile.TemporaryDirectory() as scratch:
        options = Options(size=(8, 8), recipe=given.recipe, dbc=tuple(given.dbc), scratch=Path(scratch))
        counts = fuzz(given.format, given.source, given.inputs, given.seed, given.out, options)
    for found, count in counts.most_common():
        print(f"{count:9} {found}")
    sys.exit(any(found not in ("read", "refused") for found in counts))


if __name__ == "__main__":
    main()
