"""The page while a key is held: answers a second, and where their time goes, in Chromium on this machine.

python -m tests.benchmarks.explore RUN LOG
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Counts what comes over the socket, and what drawing takes; the page itself knows nothing of it.
_WATCH = """
window.told = { came: [], bytes: 0, drawn: 0, frames: 0 };
window.WebSocket = class extends WebSocket {
  constructor(address) {
    super(address);
    this.addEventListener("message", ({ data }) => {
      told.came.push(performance.now());
      told.bytes += data.byteLength ?? data.length;
    });
  }
};
const plain = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (draw) => plain((now) => {
  const began = performance.now();
  draw(now);
  told.drawn += performance.now() - began;
  told.frames += 1;
});
"""


@contextlib.contextmanager
def served(run: Path, log: Path) -> Iterator[tuple[str, int]]:
    """The address of a page of its own process, and that process."""
    command = [sys.executable, "-m", "worldmodel", "explore", str(run), str(log), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield next(line.split()[0] for line in process.stdout if line.startswith("http")), process.pid
        process.terminate()


def cpu_s(process: int) -> float:
    """Seconds of CPU that a process has taken, with all that it started and that still runs."""
    parents, taken = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            name = int(path.parent.name)
            parents[name], taken[name] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def belongs(name: int) -> bool:
        return name == process or (name in parents and belongs(parents[name]))

    return sum(seconds for name, seconds in taken.items() if belongs(name))


def at_rest(page: Any) -> None:
    page.wait_for_selector('.wm-explore[aria-busy="false"]', timeout=120_000)


def settled(server: int) -> None:
    """Waits until nothing is learned or compiled any more while nobody asks."""
    taken = cpu_s(server)
    while True:
        time.sleep(2)
        before, taken = taken, cpu_s(server)
        if taken - before < 0.1:
            return


def hold(page: Any, server: int, key: str, seconds: float) -> dict[str, Any]:
    """What the page counted while a key was held in the pad; and seconds of CPU of the server, and of all else."""
    page.focus(".pad")
    page.keyboard.down(key)
    time.sleep(0.5)  # until it is under way
    page.evaluate("Object.assign(told, { came: [], bytes: 0, drawn: 0, frames: 0 })")
    begun = cpu_s(server), cpu_s(os.getpid())
    time.sleep(seconds)
    counted = page.evaluate("structuredClone(told)")
    counted["server"] = cpu_s(server) - begun[0]
    counted["browser"] = cpu_s(os.getpid()) - begun[1] - counted["server"]
    page.keyboard.up(key)
    at_rest(page)
    return counted


def report(width: int, counted: dict[str, Any], seconds: float) -> None:
    answers = len(counted["came"])
    p50, p99 = np.quantile(np.diff(counted["came"]), [0.5, 0.99])
    print(
        f"{width} px: {answers / seconds:.1f} answers a second, one after {p50:.0f} ms (p50), {p99:.0f} ms (p99); "
        f"{counted['bytes'] / answers / 1e3:.0f} kB each; {counted['frames'] / seconds:.0f} animation frames a second, "
        f"their drawing {counted['drawn'] / answers:.1f} ms an answer; of CPU the server took "
        f"{1e3 * counted['server'] / answers:.0f} ms an answer, the browser {1e3 * counted['browser'] / answers:.0f} ms"
    )


def main() -> None:
    """Prints a line for each width."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0, help="that a key is held")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with served(given.run, given.log) as (address, server), sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width, height in ((1280, 900), (390, 844)):
            page = browser.new_page(viewport={"width": width, "height": height})
            page.add_init_script(_WATCH)
            page.goto(address)
            at_rest(page)
            page.wait_for_function("!document.querySelector('.alarms .learning')", timeout=120_000)
            settled(server)
            report(width, hold(page, server, "ArrowUp", given.seconds), given.seconds)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
