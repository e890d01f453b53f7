"""The main job in one call: simulate the rover, train, imagine, validate, report; and a small run to try things on."""

import os
from pathlib import Path

from rich.console import Console

from worldmodel.errors import WorldModelError
from worldmodel.imagine import imagine_to
from worldmodel.logs.reader import Log
from worldmodel.progress import doing
from worldmodel.report import summary_table, write_report
from worldmodel.simulate import simulate
from worldmodel.training import Run, load_run, train
from worldmodel.training.folder import RunFolder
from worldmodel.validate import validate

SCENE = "rover"
EPISODES, HELD_OUT, SECONDS, STEPS = 600, 200, 12.0, 5000
TICK_S, SPAN_S = 0.1, 3.2  # the camera's interval; context and horizon
_KEPT_BACK = 0.05  # of the drives to select on, and to measure on: those that are measured have a log of their own
HELD_OUT_SEED = 10_000  # far from any training seed: no world is in both logs
EXAMPLE = "WORLDMODEL_EXAMPLE"  # names a folder that `example` opens, such as that of `make demo`
FEW, FEW_HELD_OUT, MINUTES = 150, 40, 3.0  # of the example


def demo(out: Path | str = "runs/demo", *, seed: int = 0, steps: int = STEPS) -> list[Path]:
    """Runs the whole road in the folder `out`; a second call goes on where the first was stopped.

    Args:
        out: gets `train.h5`, `held_out.h5`, `run/`, `imagined/` and `report/`.
        seed: decides worlds, parameters and noise.
        steps: updates of the training.

    Returns:
        What `imagined/` and `report/` hold.

    Raises:
        WorldModelError: if `out` cannot be written, or holds another demo, such as one of another seed.
    """
    out, console = Path(out), Console()
    logs = {"train": (EPISODES, seed), "held_out": (HELD_OUT, HELD_OUT_SEED + seed)}
    run, held_out = out / "run", out / "held_out.h5"
    for name, (episodes, world_seed) in logs.items():
        if not (out / f"{name}.h5").exists():
            simulate(SCENE, out / f"{name}.h5", episodes=episodes, seconds=SECONDS, seed=world_seed)
        with Log(out / f"{name}.h5") as log:
            _check(log.files[0], {"episodes": episodes, "seed": world_seed}, len(log.episodes), log.about.get("seed"))
    resume = RunFolder(run).has_run
    if resume:
        settings = RunFolder(run).read_settings()
        _check(run, {"steps": steps, "seed": seed}, settings.steps, settings.seed)
    trained = train(
        [out / "train.h5"], run, steps=steps, seed=seed, resume=resume, dt=TICK_S, context_s=SPAN_S, horizon_s=SPAN_S,
        holdout=_KEPT_BACK,
    )  # fmt: skip
    with doing("imagining a held-out drive"):
        imagined = imagine_to(trained, held_out, out / "imagined", episode=0, at_s=6.0, force=True)
    result = validate(run, log=held_out)
    with doing("writing the report"):
        report = write_report(result, out / "report", force=True)
    console.print(summary_table(result))
    return [*imagined, *report]


def example(out: Path | str | None = None) -> tuple[Run, Log]:
    """A trained run of the rover, and the log of its held-out drives with their truth; made the first time.

    Making takes about four minutes on two cores. What `demo` wrote is opened as it is.

    Args:
        out: the folder; by default what WORLDMODEL_EXAMPLE names, or `runs/example`.

    Raises:
        WorldModelError: if it cannot be written, or holds something else.
    """
    out = Path(out or os.environ.get(EXAMPLE) or "runs/example")
    for name, episodes, seed in (("train", FEW, 0), ("held_out", FEW_HELD_OUT, HELD_OUT_SEED)):
        if not (out / f"{name}.h5").exists():
            simulate(SCENE, out / f"{name}.h5", episodes=episodes, seconds=SECONDS, seed=seed)
    if not RunFolder(out / "run").finished:
        options = {"resume": True} if RunFolder(out / "run").has_run else {"minutes": MINUTES}
        spans = {"dt": TICK_S, "context_s": SPAN_S, "horizon_s": SPAN_S, "holdout": _KEPT_BACK}
        train([out / "train.h5"], out / "run", **options, **spans)  # type: ignore[arg-type]
    return load_run(out / "run"), Log(out / "held_out.h5", truth=True)


def _check(path: Path, expected: dict[str, int], *found: object) -> None:
    """Refuses to go on from what an earlier call left, if it was asked for something else."""
    if tuple(expected.values()) != found:
        raise WorldModelError(
            f"{path} is of another demo.",
            expected=", ".join(f"{name} {value}" for name, value in expected.items()),
            found=", ".join(f"{name} {value}" for name, value in zip(expected, found, strict=True)),
            remedy="remove that folder, or give another with --out",
        )
