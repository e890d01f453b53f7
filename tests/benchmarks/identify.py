"""What `worldmodel identify` finds: on a real double pendulum, and where the truth is known. Prints tables.

    python -m tests.benchmarks.identify --data FOLDER    # recordings: double pendulum, and EMPS and NanoBench if there
    python -m tests.benchmarks.identify cartpole pusher --draws 3 --spoilt 0.2 0.5

Scenes are spoilt by moving each number of masses, centres, inertias, joints and contacts up or down by that share, at
random. Errors are those of `floor_estimate`, on episodes that were not fitted.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from tests.benchmarks.tables import cell
from worldmodel.logs.align import TickLayout
from worldmodel.logs.ingest import ingest
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.physics import Physics
from worldmodel.simulate import Start, Twin, load_scene, simulate
from worldmodel.simulate.identification import Identified, identify
from worldmodel.simulate.identification.parameters import Parameters
from worldmodel.simulate.identification.writing import write_model
from worldmodel.simulate.world import World
from worldmodel.validate import make_problem
from worldmodel.validate.floor import FloorEstimate
from worldmodel.validate.scoring import score

SCENES = {"cartpole": (12, 4.0), "double_pendulum": (12, 4.0), "pusher": (12, 4.0), "rover": (12, 8.0)}  # episodes
DT = {"cartpole": 0.02, "double_pendulum": 0.02, "pusher": 0.02, "rover": 0.05}
SPOILT = ("mass", "com", "inertia", "damping", "friction", "armature", "stiffness", "lag", "contact")
LEARN = ("143339", "143524", "143601", "143704", "143747", "143906", "144003")
HELD_OUT = ("144115", "154220", "154548")
GUESSES = ((0.75, 0.40), (0.35, 0.85), (0.70, 0.90))  # kg of uniform rods
LENGTHS = (0.2, 0.3)  # m
AHEAD_S = (0.01, 0.05, 0.1, 0.25, 0.5)
NORMAL_90 = 1.645
DAMAGED = ("B2_circle_medium_rep3", "B6_linear_ramp_rep1", "B6_linear_ramp_rep4", "B7_oval_slow_rep1")
CRAZYFLIE_FIT = ("gain", "inertia", "lag", "delay", "damping")  # its mass is known, and gains trim it
FLIGHT_S = (0.1, 0.25, 0.5, 1.0, 3.0)
EMPS_FIT = ("mass", "damping", "friction", "delay", "offset")


def errors(log: Path, scene: Path | str, dt: float, horizon_s: float = 0.5) -> np.ndarray:
    """[H] the NRMSE of MuJoCo with a scene's numbers from the best estimate of each start of a log."""
    read = Log(log, truth=Log(log).has_truth)
    read.about["scene"] = str(scene)
    problem = make_problem(read, dt=dt, context_s=0.5, horizon_s=horizon_s, max_starts=None if dt == 0.01 else 320)
    result = score(problem, [FloorEstimate(problem.truth)])
    return np.asarray(result.overall["floor_estimate"], float)


def real_pendulum(data: Path, out: Path) -> None:
    """From three rough guesses, beside the published numbers."""
    logs = [_ingested(data, names, out / f"{word}.h5") for word, names in (("learn", LEARN), ("held", HELD_OUT))]
    print(f"| start | {' | '.join(f'{1000 * s:g} ms' for s in AHEAD_S)} | seconds |\n|{'---|' * (len(AHEAD_S) + 2)}")
    _row("published", errors(logs[1], "double_pendulum", 0.01), 0.0)
    for masses in GUESSES:
        folder = out / f"rods-{masses[0]:g}-{masses[1]:g}"
        _rods(folder, masses)
        began = time.monotonic()
        identify(folder, logs[0], out / f"{folder.name}-fitted", holdout=0, force=True, progress=False)
        _row(f"rods of {masses[0]:g} and {masses[1]:g} kg", errors(logs[1], out / f"{folder.name}-fitted", 0.01),
             time.monotonic() - began)  # fmt: skip


def _ingested(data: Path, names: tuple[str, ...], log: Path) -> Path:
    if not log.exists():
        files = [next(data.rglob(f"*{name}.csv")) for name in names]
        ingest(files, log, recipe="double_pendulum", progress=False)
    return log


def _row(name: str, found: np.ndarray, seconds: float) -> None:
    figures = " | ".join(f"{found[round(s / 0.01) - 1]:.3f}" for s in AHEAD_S)
    print(f"| {name} | {figures} | {seconds:.0f} |", flush=True)


def _rods(folder: Path, masses: tuple[float, float]) -> None:
    """The shipped scene as somebody would guess it: uniform rods, without friction, rotors or a delay."""
    scene = load_scene("double_pendulum")
    shutil.copytree(scene.model.parent, folder, dirs_exist_ok=True)
    spec = World(scene).mj.MjSpec.from_file(str(scene.model))
    for name, mass, length in zip(("upper", "lower"), masses, LENGTHS, strict=True):
        body, about = spec.body(name), mass * length**2 / 12
        body.explicitinertial, body.mass, body.ipos = True, mass, [0, 0, -length / 2]
        body.inertia = [about, about, 1e-4]
    for joint in spec.joints:
        joint.damping, joint.frictionloss, joint.armature = [0, 0, 0], 0, 0
    spec.compile()
    (folder / scene.model.name).write_text(spec.to_xml())


def emps(data: Path, out: Path) -> None:
    """A free run over the pulses from the first 20 outputs, after a fit to the other record."""
    logs = [out / "emps.h5", out / "emps_pulses.h5"]
    for log, name in zip(logs, ("DATA_EMPS.mat", "DATA_EMPS_PULSES.mat"), strict=True):
        if not log.exists():
            ingest([next(data.rglob(name))], log, recipe="emps", progress=False)
    rough, fitted = Path(__file__).parent / "scenes" / "emps", out / "emps-fitted"
    identify(rough, logs[0], fitted, fit=EMPS_FIT, horizon_s=5.0, holdout=0, force=True, progress=False)
    print("| EMPS, free run on the pulses | mm |\n|---|---|")
    for scene in (rough, fitted):
        print(f"| {'rough' if scene == rough else 'fitted'} | {1000 * _free_run(scene, logs[1]):.2f} |", flush=True)


def _free_run(scene: Path, log: Path, first: int = 20) -> float:
    """The RMSE in metres over all that follows the first outputs."""
    streams, twin = Log(log).episodes[0].streams, Twin(load_scene(scene))
    time, read = streams["carriage"].time, np.asarray(streams["carriage"].data[:, 0], float)
    speed = np.polyfit(time[:first] - time[first - 1], read[:first], 2)[1]
    start = Start(time[first - 1], {}, np.array([read[first - 1], speed]), {"motor": streams["motor"][:]})
    ran = twin.rollout([start], time[first - 1 :] - time[first - 1])["carriage"][0, 1:, 0]
    return float(np.sqrt(np.mean((ran - read[first:]) ** 2)))


def crazyflie(data: Path, out: Path) -> None:
    """A nano-quadrotor from its data sheet, fitted to circles, figure-eights and ramps, ahead on ovals."""
    logs = [out / "crazyflie.h5", out / "crazyflie_oval.h5"]
    for log, shapes in zip(logs, (("B2", "B3", "B6"), ("B7",)), strict=True):
        if not log.exists():
            files = sorted(f for shape in shapes for f in data.rglob(f"{shape}_*.csv") if f.stem not in DAMAGED)
            ingest(files, log, recipe="nanobench", progress=False)
    rough, fitted = Path(__file__).parent / "scenes" / "crazyflie", out / "crazyflie-fitted"
    identify(rough, logs[0], fitted, fit=CRAZYFLIE_FIT, force=True, progress=False)
    print(f"| Crazyflie, m an axis, ahead on ovals | {' | '.join(f'{s:g} s' for s in FLIGHT_S)} |")
    print(f"|{'---|' * (len(FLIGHT_S) + 1)}")
    for scene in (rough, fitted):
        figures = " | ".join(f"{e:.3f}" for e in ahead(scene, logs[1]))
        print(f"| {'rough' if scene == rough else 'fitted'} | {figures} |", flush=True)


def ahead(scene: Path, log: Path) -> np.ndarray:
    """RMSE [T] of a position an axis, of a scene as the expert that it is to a run: from half a second of context."""
    with Log(log) as read:
        layout = TickLayout(0.01, tuple(read.streams.values()))
        windows = Windows.of(read, layout, 50, round(FLIGHT_S[-1] / layout.dt))
        lens = Lens(layout, *(f(n) for n in (layout.size, layout.action_count) for f in (np.zeros, np.ones)))
        starts = windows.starts()
        examples = lens.examples(windows, starts[:: max(len(starts) // 640, 1)])
        error = Physics.of(load_scene(scene), lens).predict(examples.view) - examples.came
    ticks = [round(s / layout.dt) - 1 for s in FLIGHT_S]
    return np.sqrt(np.nanmean(error[:, ticks, layout.reading_columns["position"]] ** 2, (0, 2)))


def known_truth(name: str, spoilt: float, draws: int, out: Path) -> None:
    """One line: the spoilt and the fitted scene's error over the right one's, and how often intervals are right.

    What a draw gave is kept, so that it goes on where it was stopped.
    """
    count, seconds = SCENES[name]
    logs = [out / f"{name}-{word}.h5" for word in ("learn", "fresh")]
    for seed, log in enumerate(logs):
        if not log.exists():
            simulate(name, log, episodes=count, seconds=seconds, seed=seed, progress=False)
    right = _kept(out / f"{name}-right.json", lambda: {"error": _size(errors(logs[1], name, DT[name]))})["error"]
    found = [
        _kept(out / f"{name}-{spoilt:g}-{draw}.json", lambda draw=draw: _draw(name, spoilt, draw, logs, out))
        for draw in range(draws)
    ]
    before, after = ([each[key] / right for each in found] for key in ("before", "after"))
    held, took = ([each[key] for each in found] for key in ("held", "seconds"))
    print(f"| {name} | {spoilt:.0%} | {cell(before)} | {cell(after)} | {cell(held)} | {cell(took)} |", flush=True)


def _kept(path: Path, find: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What was found before, or is now."""
    if not path.exists():
        found = find()
        path.write_text(json.dumps(found))
    return json.loads(path.read_text())


def _draw(name: str, spoilt: float, draw: int, logs: list[Path], out: Path) -> dict[str, float]:
    """Errors before and after, the share of intervals that hold the right numbers, and seconds."""
    folder = out / f"{name}-{spoilt:g}-{draw}"
    rng = np.random.default_rng(draw)
    spoil(name, folder, SPOILT, lambda _: spoilt * rng.choice([-1, 1]))
    made = identify(folder, logs[0], out / f"{folder.name}-fitted", force=True, progress=False)
    before, after = (_size(errors(logs[1], each, DT[name])) for each in (folder, made.folder))
    return {
        "before": before, "after": after, "held": _held(made, World(load_scene(name))), "seconds": made.seconds
    }  # fmt: skip


def _size(found: np.ndarray) -> float:
    return float(np.sqrt(np.mean(found**2)))


def spoil(name: Path | str, folder: Path, groups: Collection[str], share: Callable[[str], float]) -> None:
    """A copy of a scene with each number of some groups moved by a share of it, for which its group is asked."""
    scene = load_scene(name)
    world = World(scene, general=True)
    parameters = Parameters.of(
        world, [p.name for p in Parameters.of(world, ["default", "gain"]).free if p.group in groups]
    )
    machine = parameters.machine(np.zeros(len(parameters)))
    for parameter in parameters.free:
        parameter.put(machine, parameter.before * (1 + share(parameter.group)))
    shutil.copytree(scene.model.parent, folder, dirs_exist_ok=True)
    write_model(folder / scene.model.name, scene.model, machine, world)


def _held(made: Identified, world: World) -> float:
    """The share of numbers whose interval of 90 % holds the right scene's."""
    right = {p.name: p.before for p in Parameters.of(world, ["*"]).free}
    inside = []
    for found in made.found:
        if found.group == "inertia" or found.name not in right:
            continue  # inertias are factors of each one's own value
        off = abs(found.after - right[found.name])
        inside.append(off <= NORMAL_90 * found.std + 1e-9)
    return float(np.mean(inside))


def main() -> None:
    """Prints one table or both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", choices=[*SCENES, []], default=[])
    parser.add_argument("--data", type=Path, help="a folder of recordings, with those of the double pendulum")
    parser.add_argument("--spoilt", type=float, nargs="+", default=[0.2, 0.5])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/identify"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.data:
        real_pendulum(options.data, options.out)
        if any(options.data.rglob("DATA_EMPS.mat")):
            emps(options.data, options.out)
        if any(options.data.rglob("B7_oval_*.csv")):
            crazyflie(options.data, options.out)
    for name in options.scenes:
        if name == options.scenes[0]:
            print("| scene | spoilt by | spoilt / right | fitted / right | 90 % hold | seconds |")
            print("|---|---|---|---|---|---|")
        for share in options.spoilt:
            known_truth(name, share, options.draws, options.out)


if __name__ == "__main__":
    main()
