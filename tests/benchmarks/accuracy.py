"""Measures the figures of the README: trains on several seeds, validates, prints tables and writes `accuracy.json`.

    python -m tests.benchmarks.accuracy cartpole --seeds 3
    python -m tests.benchmarks.accuracy rover --seeds 3
    python -m tests.benchmarks.accuracy reference --seeds 3
    python -m tests.benchmarks.accuracy double_pendulum --logs ../shared/data/double_pendulum/design_C.1

Each seed has worlds, parameters and noise of its own, except that the real double pendulum has only its recordings.
What a killed benchmark has finished is not done again.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.demo import HELD_OUT_SEED, demo
from worldmodel.errors import WorldModelError
from worldmodel.logs.ingest import ingest
from worldmodel.models.config import FAMILIES
from worldmodel.report import write_report
from worldmodel.simulate import simulate
from worldmodel.training import train
from worldmodel.training.folder import RunFolder
from worldmodel.validate import validate

HELD_OUT_RUNS = ("144115", "154220", "154548")


def rover(folder: Path, seed: int, _: Path | None) -> list[str]:
    """The demo, whole."""
    demo(folder, seed=seed)
    return ["report"]


def cartpole(folder: Path, seed: int, _: Path | None) -> list[str]:
    """6,000 updates (two to three minutes on 2 free cores) on 100 episodes of 20 s."""
    _simulate_cartpole(folder, seed)
    _train(folder, seed, steps=6000)
    _validate(folder, "report", log=folder / "held_out.h5")
    _validate(folder, "counterfactual", scene="cartpole")
    return ["report", "counterfactual"]


def reference(folder: Path, seed: int, _: Path | None) -> list[str]:
    """The residual model and the recurrent state-space model on the cart-pole's log, two minutes of training each."""
    _simulate_cartpole(folder, seed)
    for dynamics in FAMILIES:
        _train(folder, seed, run=dynamics, dynamics=dynamics, minutes=2)
        _validate(folder, f"{dynamics}_report", run=dynamics, log=folder / "held_out.h5")
    return [f"{dynamics}_report" for dynamics in FAMILIES]


def double_pendulum(folder: Path, seed: int, logs: Path | None) -> list[str]:
    """Seven recorded runs to train on, three held out; 4,000 updates, 0.5 s of context and horizon at 100 Hz."""
    if logs is None:
        raise WorldModelError("--logs is needed: the folder design_C.1 with the recorded runs.")
    files = sorted(logs.glob("*.csv"))
    held = [file for file in files if any(run in file.name for run in HELD_OUT_RUNS)]
    for name, sources in (("train", [file for file in files if file not in held]), ("held_out", held)):
        if not (folder / f"{name}.h5").exists():
            ingest(sources, folder / f"{name}.h5", recipe="double_pendulum")
    _train(folder, seed, steps=4000, dt=0.01, context_s=0.5, horizon_s=0.5)
    _validate(folder, "report", log=folder / "held_out.h5")
    return ["report"]


PROBLEMS: dict[str, Callable[[Path, int, Path | None], list[str]]] = {
    "rover": rover,
    "cartpole": cartpole,
    "reference": reference,
    "double_pendulum": double_pendulum,
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


def main() -> None:
    """Runs one problem and prints its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problem", choices=PROBLEMS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--logs", type=Path, help="recordings of the double pendulum")
    parser.add_argument("--out", type=Path, default=Path("runs/accuracy"))
    options = parser.parse_args()
    results: dict[str, list[dict]] = {}
    began = time.monotonic()
    for seed in range(options.seeds):
        folder = options.out / f"{options.problem}-{seed}"
        for name in PROBLEMS[options.problem](folder, seed, options.logs):
            results.setdefault(name, []).append(json.loads((folder / name / "metrics.json").read_text()))
    minutes = (time.monotonic() - began) / 60
    print(f"\n{options.problem}, {options.seeds} seeds, {_machine()}, {minutes:.1f} minutes in all")
    for name, metrics in results.items():
        print(f"\n{name}: {metrics[0]['problem']}\n")
        print(_tables(metrics))
    (options.out / f"{options.problem}.json").write_text(json.dumps(results, indent=1))


def _machine() -> str:
    info = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.processor())
    return f"{os.cpu_count()} cores of {model}"


def _tables(metrics: list[dict]) -> str:
    """Markdown: NRMSE of everything, then each stream's error, PSNR and coverage; mean over seeds (least to most)."""
    head = "| stream | figure | predictor | " + " | ".join(f"{s:g} s" for s in metrics[0]["horizons_s"]) + " |"
    lines = [head, "|" + "---|" * (3 + len(metrics[0]["horizons_s"]))]
    for predictor in metrics[0]["overall"]:
        rows = [m["overall"][predictor]["nrmse"] for m in metrics]
        lines.append(_line("all", "NRMSE", predictor, rows))
    for stream, table in metrics[0]["streams"].items():
        for predictor in (p for p in table if p != "unit"):
            key = "psnr" if "psnr" in table[predictor] else "rmse"
            unit = "PSNR (dB)" if key == "psnr" else f"RMSE ({table['unit']})"
            lines.append(_line(stream, unit, predictor, [m["streams"][stream][predictor][key] for m in metrics]))
        if any(value is not None for value in table["model"].get("coverage90", [])):
            rows = [m["streams"][stream]["model"]["coverage90"] for m in metrics]
            lines.append(_line(stream, "coverage of 90 %", "model", rows))
    sensitivity = [m["action_sensitivity"] for m in metrics]
    return "\n".join([*lines, f"\naction sensitivity: {', '.join(f'{s:.2f}' for s in sensitivity if s is not None)}"])


def _line(stream: str, figure: str, predictor: str, rows: list[list[float | None]]) -> str:
    values = np.array([[np.nan if value is None else value for value in row] for row in rows])
    return f"| {stream} | {figure} | {predictor} | {' | '.join(map(_cell, values.T))} |"


def _cell(seeds: np.ndarray) -> str:
    if np.isnan(seeds).any():
        return "-"
    span = f" ({seeds.min():.3g} to {seeds.max():.3g})" if len(seeds) > 1 else ""
    return f"{seeds.mean():.3g}{span}"


if __name__ == "__main__":
    main()
