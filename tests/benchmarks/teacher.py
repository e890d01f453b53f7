"""Measures a fitted scene as a teacher: the rover's network, taught by drives of a scene that knows no terrain.

    python -m tests.benchmarks.teacher
    python -m tests.benchmarks.teacher --steps 3000 --seeds 3 --out runs/teacher

Twelve recorded drives, the same with 200 simulated ones (half of each batch), sixty recorded ones, and the twelve with
200 simulated on twenty grounds drawn at random, each for as many updates; the network alone and the blend, that of the
second also with the scene among its experts, on drives that none has seen. The scene is the rover on flat ground
without obstacles, its numbers 20 % off (drive, steering, grip and springs too weak, drag and masses too large), fitted
to the twelve drives. What a killed benchmark has finished is not done again.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import h5py
import numpy as np
from scipy.ndimage import gaussian_filter

from tests.benchmarks.identify import spoil
from tests.benchmarks.tables import nrmse, table
from worldmodel.report import write_report
from worldmodel.simulate import load_scene, simulate
from worldmodel.simulate.identification import identify
from worldmodel.training import blend, train
from worldmodel.training.folder import RunFolder
from worldmodel.validate import validate

RECORDED, MANY, SIMULATED, FRESH = 12, 60, 200, 24  # drives
SECONDS = 12.0
SPOILT = {"mass": 0.2, "damping": 0.2, "gain": -0.2, "contact": -0.2, "stiffness": -0.2}  # shares, by group of numbers
FIT = ("chassis.mass", "*wheel.damping", "gain", "contact")
SPANS = {"dt": 0.1, "context_s": 3.2, "horizon_s": 3.2}
AHEAD_S = (0.5, 1.0, 2.0, 3.0)
GROUNDS, ACROSS_M, CELLS = 20, 80.0, 321  # height fields drawn, their side and the points along it
WAVES = ((0.02, 2.0), (0.004, 0.5))  # standard deviation of heights and length (m): about what shakes the twelve drives
APART = (2.0, 1.5)  # by what factors heights and lengths of a ground may be larger or smaller
WITH_SCENE = "and the scene among the experts"


def flat(folder: Path) -> Path:
    """The rover's scene without relief and obstacles."""
    scene = load_scene("rover")
    shutil.copytree(scene.model.parent, folder, dirs_exist_ok=True)
    tree = ElementTree.parse(scene.model)
    for parent in list(tree.iter()):
        for geom in parent.findall("geom"):
            if geom.get("class") in ("obstacle", "scenery"):
                parent.remove(geom)
            elif geom.get("name") == "ground":
                del geom.attrib["hfield"]
                geom.attrib |= {"type": "plane", "size": "60 60 1", "pos": "0 0 -0.28"}
    tree.write(folder / scene.model.name)
    return folder


def uneven(scene: Path, folder: Path, rng: np.random.Generator) -> Path:
    """A flat scene on a ground drawn at random. Heights at a distance d correlate by exp(-(d / length)^2 / 2)."""
    shutil.copytree(scene, folder, dirs_exist_ok=True)
    heights, cell_m = np.zeros((CELLS, CELLS)), ACROSS_M / (CELLS - 1)
    for height, length in WAVES * np.power(APART, rng.uniform(-1, 1, (len(WAVES), 2))):
        wave = gaussian_filter(rng.normal(size=heights.shape), length / cell_m / np.sqrt(2), mode="wrap")
        heights += wave * height / wave.std()
    low, span = heights.min(), np.ptp(heights)
    shape, told = np.array(heights.shape, np.int32), ((heights - low) / span).astype(np.float32)
    (folder / "relief.bin").write_bytes(shape.tobytes() + told.tobytes())
    model = folder / load_scene(folder).model.name
    tree = ElementTree.parse(model)
    (relief,) = tree.iter("hfield")
    relief.attrib |= {"file": "relief.bin", "content_type": "image/vnd.mujoco.hfield"}
    relief.attrib["size"] = f"{ACROSS_M / 2} {ACROSS_M / 2} {span} 1"
    (ground,) = (geom for geom in tree.iter("geom") if geom.get("name") == "ground")
    x, y, z = ground.attrib["pos"].split()
    del ground.attrib["size"]
    ground.attrib |= {"type": "hfield", "hfield": "relief", "pos": f"{x} {y} {float(z) + low}"}
    tree.write(model)
    return folder


def fitted(out: Path, log: Path, seed: int) -> Path:
    """The flat scene with spoilt numbers, fitted to a log."""
    folder = out / f"fitted-{seed}"
    if not folder.exists():
        spoil(flat(out / "flat"), out / "spoilt", SPOILT, SPOILT.__getitem__)
        identify(out / "spoilt", log, folder, fit=FIT, horizon_s=1.0)
    return folder


def drives(scene: Path | str, log: Path, count: int, seed: int) -> Path:
    """Drives without the camera."""
    if not log.exists():
        simulate(load_scene(scene).without_video(), log, episodes=count, seconds=SECONDS, seed=seed)
    return log


def recorded(log: Path, count: int, seed: int) -> Path:
    """Drives of the machine itself: nothing in the log says that it is simulated, too."""
    with h5py.File(drives("rover", log, count, seed), "r+") as file:
        about = json.loads(file.attrs["about"])
        file.attrs["about"] = json.dumps({key: told for key, told in about.items() if key != "simulator"})
    return log


def measure(out: Path, seed: int, steps: int) -> dict[str, dict[str, Any]]:
    """The metrics of each run."""
    few = recorded(out / f"few-{seed}.h5", RECORDED, seed)
    many = recorded(out / f"many-{seed}.h5", MANY, 1000 + seed)
    scene = fitted(out, few, seed)
    taught = drives(scene, out / f"simulated-{seed}.h5", SIMULATED, 2000 + seed)
    grounds = [uneven(scene, out / f"ground-{seed}-{i}", np.random.default_rng([seed, i])) for i in range(GROUNDS)]
    shaken = [
        drives(ground, out / f"{ground.name}.h5", SIMULATED // GROUNDS, 3000 + GROUNDS * seed + i)
        for i, ground in enumerate(grounds)
    ]
    fresh = recorded(out / "fresh.h5", FRESH, 9000)
    logs = {
        f"{RECORDED} recorded drives": [few],
        f"{RECORDED} recorded and {SIMULATED} simulated": [few, taught],
        f"{MANY} recorded drives": [many],
        f"{RECORDED} recorded and {SIMULATED} simulated on grounds drawn at random": [few, *shaken],
    }
    runs = {name: _trained(out / f"run-{i}-{seed}", told, seed, steps) for i, (name, told) in enumerate(logs.items())}
    runs[WITH_SCENE] = _with_scene(runs[f"{RECORDED} recorded and {SIMULATED} simulated"], scene)
    return {name: _metrics(run, fresh) for name, run in runs.items()}


def _trained(run: Path, logs: Sequence[Path], seed: int, steps: int) -> Path:
    resume, simulated = RunFolder(run).has_run, len(logs) - 1
    weights = [1.0, *[1 / simulated] * simulated] if simulated else None
    train(logs, run, steps=steps, seed=seed, network=True, resume=resume, weights=weights, **SPANS)  # type: ignore[arg-type]
    return run


def _with_scene(run: Path, scene: Path) -> Path:
    """A copy of a run, whose experts the scene has joined."""
    joined = run.with_name(f"{run.name}-with-scene")
    if RunFolder(joined).prior is None:
        blend(shutil.copytree(run, joined, dirs_exist_ok=True), prior=scene)
    return joined


def _metrics(run: Path, fresh: Path) -> dict[str, Any]:
    report = run.with_name(f"{run.name}-report")
    if not report.exists():
        write_report(validate(run, log=fresh), report)
    return json.loads((report / "metrics.json").read_text())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/teacher"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    found = [measure(options.out, seed, options.steps) for seed in range(options.seeds)]
    networks = [name for name in found[0] if name != WITH_SCENE]
    rows = [(f"network, {name}", nrmse([each[name] for each in found], "network")) for name in networks]
    rows += [(f"blend, {name}", nrmse([each[name] for each in found])) for name in found[0]]
    title = f"rover without camera, NRMSE of all readings, {options.steps:,} updates"
    print(table(title, AHEAD_S, found[0][f"{MANY} recorded drives"]["horizons_s"], rows))


if __name__ == "__main__":
    main()
