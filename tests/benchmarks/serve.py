"""Measures a server beside the model called in a loop: requests a second, and how long one in a hundred waits.

    python -m tests.benchmarks.serve                      # makes a small rover run first, in about a minute
    python -m tests.benchmarks.serve --run RUN --log LOG  # on a run that there is

Each client asks again as soon as it is answered. A question brings its context (readings, no frames drawn) and asks
for 16 futures as far as the run was trained.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import httpx2
import msgpack
import numpy as np

from tests.benchmarks.latency import small_rover_run

CLIENTS, SECONDS, PORT = (1, 8, 64), 10.0, 8791
HEADERS = {"content-type": "application/msgpack", "accept": "application/msgpack"}


class Row(NamedTuple):
    """One line of the table: what was asked, and how long each answer took, in seconds, of how long in all."""

    name: str
    waits: list[float]
    seconds: float

    def __str__(self) -> str:
        rate = len(self.waits) / self.seconds
        middle, late = (1e3 * np.quantile(self.waits, q) for q in (0.5, 0.99))
        return f"| {self.name:40} | {rate:10.1f} | {middle:8.1f} | {late:8.1f} |"


def measure(run: Path, log: Path) -> list[Row]:
    """The rows of the table."""
    bodies = questions(run, log)
    rows = [in_a_loop(run, bodies)]
    command = [sys.executable, "-m", "worldmodel", "serve", str(run), "--port", str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            asyncio.run(ready())
            for clients in CLIENTS:
                name = f"served, {clients} client{'s' * (clients > 1)}"
                rows.append(Row(name, *asyncio.run(ask(bodies, clients, SECONDS))))
        finally:
            server.terminate()
    return rows


def in_a_loop(run: Path, bodies: list[bytes]) -> Row:
    """The same questions put to the same model again and again, with no server."""
    import worldmodel as wm
    from worldmodel.serve.engine import Engine
    from worldmodel.serve.limits import Limits
    from worldmodel.serve.question import Asked, question_of
    from worldmodel.serve.wire import samples_of, unpack

    opened, limits, waits = wm.load(run), Limits(), []
    engine = Engine(opened)
    engine.warm(limits)
    given = [samples_of(unpack(body, True)["streams"], opened.layout.streams, "streams") for body in bodies]
    began = time.perf_counter()
    while (now := time.perf_counter()) < began + SECONDS:
        engine.answers([question_of(opened, given[len(waits) % len(given)], Asked(), limits)])
        waits.append(time.perf_counter() - now)
    return Row("the model in a loop", waits, time.perf_counter() - began)


def questions(run: Path, log: Path) -> list[bytes]:
    """Bodies of requests from several moments of a log."""
    import worldmodel as wm

    settings = wm.load(run).settings
    span, found = settings.context * settings.dt, []
    with wm.Log(log) as source:
        streams = source.episodes[0].streams
        for at_s in np.linspace(span + 0.5, source.durations_s[0] - 0.5, 8):
            given = {name: stream[at_s - span : at_s] for name, stream in streams.items()}
            packed = {n: {"time": _array(s.time), "data": _array(s.data)} for n, s in given.items() if len(s.time)}
            found.append(msgpack.packb({"streams": packed}))
    return found


async def ready() -> None:
    """Waits until the server answers."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{PORT}") as client:
        for _ in range(600):
            try:
                await client.get("/healthz")
                return
            except httpx2.TransportError:
                await asyncio.sleep(0.1)
    raise SystemExit("the server did not come")


async def ask(bodies: list[bytes], clients: int, seconds: float) -> tuple[list[float], float]:
    """How long each answer took, and all of them."""
    waits: list[float] = []
    limits = httpx2.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{PORT}", timeout=120, limits=limits) as client:
        began = time.perf_counter()

        async def one(number: int) -> None:
            while (now := time.perf_counter()) < began + seconds:
                answer = await client.post("/imagine", content=bodies[number % len(bodies)], headers=HEADERS)
                answer.raise_for_status()
                waits.append(time.perf_counter() - now)

        await together(one, clients)
        return waits, time.perf_counter() - began


async def together(one: Callable[[int], Awaitable[None]], count: int) -> None:
    """So many at once."""
    await asyncio.gather(*(one(number) for number in range(count)))


def _array(x: np.ndarray) -> dict[str, object]:
    x = np.ascontiguousarray(x, x.dtype if x.dtype == np.uint8 else np.float64)
    return {"dtype": x.dtype.str, "shape": list(x.shape), "data": x.tobytes()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run, log = (given.run, given.log) if given.run and given.log else small_rover_run(Path(folder))
        rows = measure(run, log)
    print("| what | requests/s | p50 (ms) | p99 (ms) |\n|---|---|---|---|")
    print("\n".join(map(str, rows)))


if __name__ == "__main__":
    main()
