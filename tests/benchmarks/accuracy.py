"""Measures the figures of the README: trains on several seeds, validates, prints its tables and writes JSON.

    python -m tests.benchmarks.accuracy all --seeds 3 --data RECORDINGS
    python -m tests.benchmarks.accuracy cartpole --seeds 3

`rover` is the demo, `reference` compares the families of models, `benchmark` is `worldmodel benchmark`, and `all` is
everything. Each seed has worlds, parameters and noise of its own; recordings are what they are. What a killed
benchmark has finished is not done again.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.tables import besides, by_stream, nrmse, overall, table
from worldmodel.benchmark import benchmark
from worldmodel.demo import HELD_OUT_SEED, demo
from worldmodel.models.config import FAMILIES
from worldmodel.report import write_report
from worldmodel.simulate import simulate
from worldmodel.training import train
from worldmodel.training.folder import RunFolder
from worldmodel.validate import validate

ROVER_S, CARTPOLE_S = (0.5, 1.0, 2.0, 3.0), (0.1, 0.5, 1.0)
BENCHMARK = "benchmark"
EQUAL: dict[str, dict[str, float]] = {"time": {"minutes": 2}, "updates": {"steps": 1000}}


def rover(folder: Path, seed: int) -> None:
    """The demo, whole."""
    demo(folder, seed=seed)


def show_rover(folders: list[Path]) -> str:
    metrics = _metrics(folders, "report")
    shown = by_stream("held-out rover drives, RMSE against the noise-free truth", ROVER_S, metrics)
    return (
        f"{shown}\n\n{overall('held-out rover drives, NRMSE of all readings', ROVER_S, metrics)}\n\n{besides(metrics)}"
    )


def cartpole(folder: Path, seed: int) -> None:
    """6,000 updates (two to three minutes on 2 free cores) on 100 episodes of 20 s."""
    _simulate_cartpole(folder, seed)
    _train(folder, seed, steps=6000)
    _validate(folder, "report", log=folder / "held_out.h5")
    _validate(folder, "counterfactual", scene="cartpole")


def show_cartpole(folders: list[Path]) -> str:
    titles = {
        "report": "cart-pole, held-out episodes, NRMSE",
        "counterfactual": "cart-pole, other actions from one moment, NRMSE",
    }
    shown = {title: _metrics(folders, name) for name, title in titles.items()}
    return "\n\n".join(
        f"{overall(title, CARTPOLE_S, metrics)}\n\n{besides(metrics)}" for title, metrics in shown.items()
    )


def reference(folder: Path, seed: int) -> None:
    """Each family on the cart-pole's log, for two minutes, and for 1,000 updates; settings are those of `sweep`."""
    _simulate_cartpole(folder, seed)
    for equal, length in EQUAL.items():
        for family in FAMILIES:
            _train(folder, seed, run=f"{equal}_{family}", dynamics=family, **length)
            _validate(folder, f"{equal}_{family}_report", run=f"{equal}_{family}", log=folder / "held_out.h5")


def show_reference(folders: list[Path]) -> str:
    return "\n\n".join(_families(folders, equal) for equal in EQUAL)


def _families(folders: list[Path], equal: str) -> str:
    """The NRMSE of each family's network, with its updates and their minutes, beside the blend and the mean."""
    rows = []
    for family in FAMILIES:
        metrics = _metrics(folders, f"{equal}_{family}_report")
        ends = [RunFolder(folder / f"{equal}_{family}").finished or {} for folder in folders]
        steps = _span([end["steps"] for end in ends])
        minutes = _span([end["seconds"] / 60 for end in ends])
        rows.append((f"{family}, {steps} updates in {minutes} minutes", nrmse(metrics, "network")))
        rows.append((f"{family} among the experts", nrmse(metrics)))
    rows.append(("mean", nrmse(metrics, "mean")))
    return table(f"cart-pole, equal {equal}, NRMSE", CARTPOLE_S, metrics[0]["horizons_s"], rows)


def _span(values: list[float]) -> str:
    least, most = (f"{value:,.0f}" if value >= 100 else f"{value:.2g}" for value in (min(values), max(values)))
    return least if least == most else f"{least} to {most}"


class Problem(NamedTuple):
    """`measure(folder, seed)` does one seed's work; `show(folders)` makes Markdown of all seeds'."""

    measure: Callable[[Path, int], None]
    show: Callable[[list[Path]], str]


PROBLEMS: dict[str, Problem] = {
    "rover": Problem(rover, show_rover),
    "cartpole": Problem(cartpole, show_cartpole),
    "reference": Problem(reference, show_reference),
}


def _simulate_cartpole(folder: Path, seed: int) -> None:
    for name, episodes, world_seed in (("train", 100, seed), ("held_out", 20, HELD_OUT_SEED + seed)):
        if not (folder / f"{name}.h5").exists():
            simulate("cartpole", folder / f"{name}.h5", episodes=episodes, seed=world_seed)


def _train(folder: Path, seed: int, run: str = "run", **options: Any) -> None:
    resume = RunFolder(folder / run).has_run
    train([folder / "train.h5"], folder / run, seed=seed, resume=resume, **options)


def _validate(folder: Path, name: str, run: str = "run", **problem: Any) -> None:
    if not (folder / name).exists():
        write_report(validate(folder / run, **problem), folder / name)


def _metrics(folders: list[Path], name: str) -> list[dict[str, Any]]:
    return [json.loads((folder / name / "metrics.json").read_text()) for folder in folders]


def main() -> None:
    """Measures one problem or all, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problem", choices=[*PROBLEMS, BENCHMARK, "all"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, help="the folder of recordings, as `worldmodel benchmark` wants it")
    parser.add_argument("--out", type=Path, default=Path("runs/accuracy"))
    options = parser.parse_args()
    names = [*PROBLEMS, BENCHMARK] if options.problem == "all" else [options.problem]
    if BENCHMARK in names and options.data is None:
        parser.error("--data is needed: the folder of recordings, as `worldmodel benchmark` wants it")
    for name in names:
        began = time.monotonic()
        measured = benchmarked if name == BENCHMARK else simulated
        shown = measured(options.out, name, options.seeds, options.data)
        minutes = (time.monotonic() - began) / 60
        print(f"\n{name}, {options.seeds} seeds, {_machine()}, {minutes:.1f} minutes in all\n")
        print(shown, flush=True)


def simulated(out: Path, name: str, seeds: int, _: Path | None) -> str:
    """One of `PROBLEMS`, in Markdown."""
    folders = [out / f"{name}-{seed}" for seed in range(seeds)]
    for seed, folder in enumerate(folders):
        PROBLEMS[name].measure(folder, seed)
    _keep(out / f"{name}.json", folders)
    return PROBLEMS[name].show(folders)


def benchmarked(out: Path, name: str, seeds: int, data: Path) -> str:
    """All problems of `worldmodel benchmark` whose recordings are there, in Markdown."""
    benchmark(out / name, seeds=seeds, data=data)
    return (out / name / "benchmark.md").read_text()


def _keep(file: Path, folders: list[Path]) -> None:
    """Writes every figure: by report, a list with the metrics of each seed."""
    reports = sorted(path.parent.name for path in folders[0].glob("*/metrics.json"))
    file.write_text(json.dumps({report: _metrics(folders, report) for report in reports}, indent=1))


def _machine() -> str:
    info = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.processor())
    return f"{os.cpu_count()} cores of {model}"


if __name__ == "__main__":
    main()
