"""Measures whether a rollout twice as long is twice the work: guards the upper bound of jax in pyproject.toml.

    python -m tests.benchmarks.scan

jaxlib 0.11.1 rewrites the whole output of a loop on a CPU at every turn where a turn puts out less than 256 bytes (jax
issue 40101), so that the work grows with the square of the length. XLA's own cost analysis cannot see that: it counts a
loop's body once, and the program before code generation is the same. So the processor's seconds are compared, each
the least of several calls, and the program itself is only checked to be a loop that has not been unrolled.
Run it with any jax that the bound is to admit; it fails where the work more than doubles.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp

from tests.oscillator import SPECS, episode
from tests.untrained import untrained_run
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Commands

MOST = 2.6  # times the work at twice the length: 2, a share that does not grow, and noise; the square would be 4
DOUBLINGS = 3
CALLS = 7


def numbers(length: int) -> Callable[[], jax.Array]:
    """The smallest output there is: one number at each turn."""
    return lambda: jax.lax.scan(lambda x, _: (0.99 * x + 1, x), jnp.float32(0), None, length=length)[1]


def rollout(length: int) -> Callable[[], jax.Array]:
    """One future, imagined by the default model."""
    specs = tuple(s for s in SPECS if s.kind != "video")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.h5"
        with LogWriter(path, specs) as writer:
            writer.append({s.name: episode(0)[s.name] for s in specs})
        run = untrained_run(Log(path), dt=0.05, context=20, horizon=20)
        windows = run.windows(Log(path))
        context, future = windows.cut(windows.starts()[:1], 20)
    belief = run.model.observe(context)
    given = Commands(*(jnp.tile(x, (1, -(-length // 20), 1))[:, :length] for x in future.actions))
    return lambda: run.model.imagine(belief, given, 1, jax.random.key(0))


def measure(make: Callable[[int], Callable[[], jax.Array]], length: int) -> tuple[float, int]:
    """Processor's seconds of a call, and how many instructions the compiled program has."""
    program = jax.jit(make(length)).lower().compile()
    program().block_until_ready()
    seconds = []
    for _ in range(CALLS):
        began = time.process_time()
        program().block_until_ready()
        seconds.append(time.process_time() - began)
    return min(seconds), program.as_text().count(" = ")


def main() -> None:
    """Prints a table, and exits with 1 if something more than doubles."""
    print(f"jax {jax.__version__} on {jax.devices()[0].platform}\n")
    print(f"{'':10}{'length':>8}{'ms':>10}{'ratio':>8}{'instructions':>14}")
    wrong = []
    for name, make, length in (("numbers", numbers, 1 << 15), ("rollout", rollout, 1 << 10)):
        before: tuple[float, int] | None = None
        for doubling in range(DOUBLINGS + 1):
            seconds, instructions = measure(make, length << doubling)
            ratio = seconds / before[0] if before else float("nan")
            print(f"{name:10}{length << doubling:8}{1000 * seconds:10.2f}{ratio:8.2f}{instructions:14}")
            if before and (ratio > MOST or instructions > 1.1 * before[1]):
                wrong.append(f"{name} of length {length << doubling}")
            before = seconds, instructions
    print(f"\nmore than double the work: {', '.join(wrong) or 'nothing'}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
