"""Writes a fitted scene: the user's folder with the fitted numbers put into its own text.

Attributes are changed where they stand, so that comments, meshes and formatting stay. Where a model is made of included
files or generated elements, MuJoCo writes it anew, without comments. Either way the file is compiled and compared.
"""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from worldmodel.errors import SceneError
from worldmodel.files import whole_folder
from worldmodel.simulate.identification.page import page
from worldmodel.simulate.identification.parameters import Machine
from worldmodel.simulate.model import let_lag
from worldmodel.simulate.scene import Scene
from worldmodel.simulate.scene_file import load_scene
from worldmodel.simulate.world import World

if TYPE_CHECKING:
    from worldmodel.simulate.identification.identify import Identified

IDENTIFIED_FILE, PAGE_FILE, SPREAD_FILE = OWN_FILES = "identified.json", "identified.html", "spread.json"
FORMAT, VERSION = "worldmodel-identified", 1
_CLOSE = 1e-5  # what a file may lose of a number
_SETTLES = 0.1  # of a physics step: a shorter lag is none
_LAGS = "actuator_dynprm", "actuator_dyntype", "actuator_actearly"
_COMMANDS = (
    "actuator_gaintype", "actuator_biastype", "actuator_ctrlspec", "actuator_ctrllimited", "actuator_ctrlrange",
    "actuator_forcerange",
)  # fmt: skip
_ARRAYS = (
    "body_mass", "body_ipos", "body_inertia", "dof_damping", "dof_frictionloss", "dof_armature", "jnt_stiffness",
    "actuator_gear", "actuator_gainprm", "actuator_biasprm", "geom_friction", "pair_friction",
)  # fmt: skip


_SHORT = "kp", "kv", "dampratio", "timeconst", "inheritrange", "gain"  # attributes of shortcuts for actuators
_INPUTS = {"position": "pos", "velocity": "vel"}  # what their commands are


def write_scene(made: "Identified", machine: Machine, world: World, *, force: bool) -> None:
    """Writes the folder `made.folder`, whole or not at all.

    Raises:
        SceneError: if the model cannot be written so that it compiles to the fitted one.
        WorldModelError: if the folder exists and not `force`, or holds what is not of the scene.
    """
    source = made.scene.folder
    with whole_folder(made.folder, force, replaces=replaced(made.scene)) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*", *OWN_FILES))
        write_model(folder / made.scene.model.relative_to(source), made.scene.model, machine, world)
        _write_toml(folder / "scene.toml", machine, made)
        (folder / IDENTIFIED_FILE).write_text(json.dumps(_as_json(made), indent=1) + "\n", encoding="utf-8")
        (folder / PAGE_FILE).write_text(page(made), encoding="utf-8")
        load_scene(folder)


def replaced(scene: Scene) -> tuple[str, ...]:
    """What a folder that may be replaced holds, the first of it always."""
    return ("scene.toml", *OWN_FILES, *sorted(each.name for each in scene.folder.iterdir()))


def write_model(path: Path, source: Path, machine: Machine, world: World) -> None:
    """Writes the MJCF file `source` with a machine's numbers to `path`, beside the files that it names.

    Raises:
        SceneError: if it cannot be written so that it compiles to these numbers.
    """
    for text in (lambda: _patched(source, machine, world), lambda: _anew(source, machine, world)):
        written = text()
        if written is None:
            continue
        path.write_text(written, encoding="utf-8")
        if _same(world, path, machine):
            return
    raise SceneError(
        f"The fitted model of {world.scene.name} cannot be written.",
        expected="an MJCF file that compiles to the fitted numbers",
        found="other numbers, in each of two ways of writing it",
        remedy="write the model out without includes and generated bodies, and fit that",
    )


def _same(world: World, path: Path, machine: Machine) -> bool:
    """Whether a file compiles to the fitted model."""
    try:
        model = world.mj.MjModel.from_xml_path(str(path))
    except ValueError:
        return False
    names = (*_ARRAYS, *_COMMANDS, *_LAGS)
    none = sorted(set(world.lagging) - set(_lagged(world, machine.model)))
    for name in names:
        a, b = (np.asarray(getattr(each, name)) for each in (model, machine.model))
        if name in _LAGS and len(a) == len(b):
            a, b = np.delete(a, none, 0), np.delete(b, none, 0)
        if a.shape != b.shape or not np.allclose(a, b, rtol=_CLOSE, atol=1e-9):
            return False
    return True


def _lagged(world: World, model: Any) -> list[int]:
    """The actuators that got a lag which they did not have."""
    return [i for i in world.lagging if model.actuator_dynprm[i, 0] > _SETTLES * world.step_s]


def _patched(source: Path, machine: Machine, world: World) -> str | None:
    """The user's text with other attributes; None where its elements are not those of the model."""
    text = source.read_text(encoding="utf-8")
    begin = text.find("<mujoco")
    if begin < 0:
        return None
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    end = text.rfind("</mujoco>") + len("</mujoco>")
    root = ElementTree.fromstring(text[begin:end], parser)
    found = _Found.of(root)
    if not found.fits(world.model):
        return None
    before, now = world.model, machine.model
    for body, element in enumerate(found.bodies, 1):
        if not _alike(before, now, ("body_mass", "body_ipos", "body_inertia"), body):
            _put_inertia(element, now, body)
    for joint, element in enumerate(found.joints):
        dof = int(now.jnt_dofadr[joint])
        for array, at, name in (
            ("dof_damping", dof, "damping"), ("dof_frictionloss", dof, "frictionloss"),
            ("dof_armature", dof, "armature"), ("jnt_stiffness", joint, "stiffness"),
        ):  # fmt: skip
            if not _alike(before, now, (array,), at):
                element.set(name, _number(getattr(now, array)[at]))
    for geom, element in enumerate(found.geoms):
        if not _alike(before, now, ("geom_friction",), geom):
            element.set("friction", _numbers(now.geom_friction[geom]))
    for pair, element in enumerate(found.pairs):
        if not _alike(before, now, ("pair_friction",), pair):
            element.set("friction", _numbers(now.pair_friction[pair]))
    for actuator, element in enumerate(found.actuators):
        _put_actuator(element, before, now, actuator, world.lagging)
    lagged = _lagged(world, now)
    for actuator in lagged:
        _make_lag(world.mj, found.actuators[actuator], now, actuator)
    for row, element in enumerate(root.iter("key") if lagged else ()):
        kept = [i for i in range(len(found.actuators)) if i in lagged or i not in world.lagging]
        first, count = now.actuator_actadr, now.actuator_actnum
        acts = [now.key_act[row, first[i] : first[i] + count[i]] for i in kept if count[i]]
        element.set("act", _numbers(np.concatenate(acts)))
    written = ElementTree.tostring(root, encoding="unicode")
    return text[:begin] + (written if " />" in text else written.replace(" />", "/>")) + text[end:]


class _Found:
    """The elements of an MJCF text, in the order in which MuJoCo numbers them."""

    def __init__(self, bodies: list, joints: list, geoms: list, pairs: list, actuators: list, plain: bool) -> None:
        self.bodies, self.joints, self.geoms = bodies, joints, geoms
        self.pairs, self.actuators, self._plain = pairs, actuators, plain

    @classmethod
    def of(cls, root: ElementTree.Element) -> "_Found":
        bodies: list[ElementTree.Element] = []
        joints: list[ElementTree.Element] = []
        geoms: list[ElementTree.Element] = []

        def walk(element: ElementTree.Element) -> None:
            joints.extend(e for e in element if e.tag in ("joint", "freejoint"))
            geoms.extend(e for e in element if e.tag == "geom")
            for child in element:
                if child.tag == "body":
                    bodies.append(child)
                    walk(child)

        for world in root.findall("worldbody"):
            walk(world)
        made = ("include", "composite", "flexcomp", "replicate", "attach", "frame")
        plain = not any(next(root.iter(tag), None) is not None for tag in made)
        pairs = [e for contact in root.findall("contact") for e in contact if e.tag == "pair"]
        actuators = [e for part in root.findall("actuator") for e in part if isinstance(e.tag, str)]
        return cls(bodies, joints, geoms, pairs, actuators, plain)

    def fits(self, model: Any) -> bool:
        """Whether there are as many as the model has."""
        have = [len(x) for x in (self.bodies, self.joints, self.geoms, self.pairs, self.actuators)]
        actuators = len(model.actuator_trntype)
        return self._plain and have == [model.nbody - 1, model.njnt, model.ngeom, model.npair, actuators]


def _alike(before: Any, now: Any, arrays: tuple[str, ...], at: int) -> bool:
    return all(np.array_equal(getattr(before, name)[at], getattr(now, name)[at]) for name in arrays)


def _put_inertia(element: ElementTree.Element, model: Any, body: int) -> None:
    given = element.find("inertial")
    if given is None:
        given = ElementTree.Element("inertial")
        given.tail = (element.text or "\n") if (element.text or "").strip() == "" else "\n"
        element.insert(0, given)
    for name in ("fullinertia", "euler", "axisangle", "xyaxes", "zaxis", "quat"):
        given.attrib.pop(name, None)
    given.set("pos", _numbers(model.body_ipos[body]))
    given.set("quat", _numbers(model.body_iquat[body]))
    given.set("mass", _number(model.body_mass[body]))
    given.set("diaginertia", _numbers(model.body_inertia[body]))


def _put_actuator(element: ElementTree.Element, before: Any, now: Any, actuator: int, lagging: Sequence[int]) -> None:
    if not _alike(before, now, ("actuator_gear",), actuator):
        element.set("gear", _numbers(now.actuator_gear[actuator]))
    if not _alike(before, now, ("actuator_gainprm", "actuator_biasprm"), actuator):
        if element.tag == "position":
            element.set("kp", _number(now.actuator_gainprm[actuator, 0]))
            element.set("kv", _number(-now.actuator_biasprm[actuator, 2]))
            element.attrib.pop("dampratio", None)
        elif element.tag == "velocity":
            element.set("kv", _number(now.actuator_gainprm[actuator, 0]))
        else:
            element.set("gainprm", _numbers(now.actuator_gainprm[actuator, :3]))
            element.set("biasprm", _numbers(now.actuator_biasprm[actuator, :3]))
    if not _alike(before, now, ("actuator_dynprm",), actuator) and actuator not in lagging:
        name = "timeconst" if element.tag in ("position", "cylinder") else "dynprm"
        element.set(name, _number(now.actuator_dynprm[actuator, 0]))


def _make_lag(mj: Any, element: ElementTree.Element, model: Any, actuator: int) -> None:
    """Makes an actuator's element the general one that does the same, and lags."""
    inherits = element.get("inheritrange") is not None
    for name in _SHORT:
        element.attrib.pop(name, None)
    if element.tag in _INPUTS:
        element.set("input", _INPUTS[element.tag])
    element.tag = "general"
    if inherits:
        element.set("ctrlrange", _numbers(model.actuator_ctrlrange[actuator]))
    gains, biases = {int(mj.mjtGain.mjGAIN_FIXED): "fixed"}, {int(mj.mjtBias.mjBIAS_NONE): "none"}
    element.set("gaintype", gains.get(int(model.actuator_gaintype[actuator]), "affine"))
    element.set("gainprm", _numbers(model.actuator_gainprm[actuator, :3]))
    element.set("biastype", biases.get(int(model.actuator_biastype[actuator]), "affine"))
    element.set("biasprm", _numbers(model.actuator_biasprm[actuator, :3]))
    element.set("dyntype", "filterexact")
    element.set("dynprm", _number(model.actuator_dynprm[actuator, 0]))
    element.set("actearly", "true")


def _anew(source: Path, machine: Machine, world: World) -> str | None:
    """The model as MuJoCo writes it, with the fitted numbers put into its specification."""
    spec, now = world.mj.MjSpec.from_file(str(source)), machine.model
    if [len(spec.bodies) - 1, len(spec.joints), len(spec.geoms)] != [now.nbody - 1, now.njnt, now.ngeom]:
        return None
    for i, body in enumerate(spec.bodies):
        if not i or _alike(world.model, now, ("body_mass", "body_ipos", "body_inertia"), i):
            continue
        body.explicitinertial = True
        body.mass, body.ipos, body.iquat, body.inertia = (
            now.body_mass[i], now.body_ipos[i], now.body_iquat[i], now.body_inertia[i],
        )  # fmt: skip
        body.fullinertia = [np.nan] * 6
    for i, joint in enumerate(spec.joints):
        dof = int(now.jnt_dofadr[i])
        joint.damping[0], joint.frictionloss = now.dof_damping[dof], now.dof_frictionloss[dof]
        joint.armature, joint.stiffness[0] = now.dof_armature[dof], now.jnt_stiffness[i]
    for i, geom in enumerate(spec.geoms):
        geom.friction = now.geom_friction[i]
    for i, pair in enumerate(spec.pairs):
        pair.friction = now.pair_friction[i]
    lagged = _lagged(world, now)
    if lagged:
        let_lag(world.mj, spec, spec.compile(), lagged)
    for i, actuator in enumerate(spec.actuators):
        actuator.gear = now.actuator_gear[i]
        actuator.gainprm, actuator.biasprm = now.actuator_gainprm[i], now.actuator_biasprm[i]
        if i in lagged or i not in world.lagging:
            actuator.dynprm = now.actuator_dynprm[i]
    spec.compile()
    return spec.to_xml()


def _number(value: float) -> str:
    return f"{float(value):.10g}"


def _numbers(values: Any) -> str:
    return " ".join(_number(v) for v in np.ravel(values))


def _write_toml(path: Path, machine: Machine, made: "Identified") -> None:
    """Puts the delays and biases that changed into the tables of their streams."""
    lines = path.read_text(encoding="utf-8").split("\n")
    for stream in made.scene.streams:
        name = stream.spec.name
        if machine.delay_s[name] != stream.delay_s:
            _set(lines, name, "delay_s", _number(machine.delay_s[name]))
        if not np.array_equal(machine.bias[name], stream.bias):
            _set(lines, name, "bias", f"[{', '.join(_number(v) for v in machine.bias[name])}]")
    path.write_text("\n".join(lines), encoding="utf-8")


def _set(lines: list[str], stream: str, key: str, value: str) -> None:
    """Sets a key of the table [streams.NAME] in the lines of a TOML file; in place."""
    header = re.compile(r'\s*\[\s*streams\s*\.\s*["\']?' + re.escape(stream) + r'["\']?\s*\]\s*(#.*)?$')
    at = next((i for i, line in enumerate(lines) if header.match(line)), None)
    if at is None:
        raise SceneError(
            f"The table of stream {stream!r} is not written as [streams.{stream}] in scene.toml.",
            remedy="write it so, for the fitted delays and biases are put there",
        )
    end = next((i for i in range(at + 1, len(lines)) if lines[i].lstrip().startswith("[")), len(lines))
    for i in range(at + 1, end):
        if re.match(rf"\s*{key}\s*=", lines[i]):
            comment = re.search(r"\s+#.*$", lines[i])
            lines[i] = f"{key} = {value}{comment.group() if comment else ''}"
            return
    lines.insert(at + 1, f"{key} = {value}")


def _as_json(made: "Identified") -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "scene": made.scene.name,
        "logs": [Path(log).name for log in made.logs],
        "logs_sha256": list(made.logs_sha256),
        "fitted": list(made.fitted),
        "measured": list(made.measured),
        "fitted_sha256": list(made.fitted_sha256),
        "measured_sha256": list(made.measured_sha256),
        "windows": made.windows,
        "possible_windows": made.possible,
        "cut": made.cut,
        "unstable": made.unstable,
        "seconds": round(made.seconds, 1),
        "optimism": made.optimism,
        "parameters": [
            {
                "name": f.name, "group": f.group, "unit": f.unit, "factor": f.factor, "before": f.before,
                "after": f.after, "std": f.std, "share": f.share, "at_bound": f.at_bound,
            }
            for f in made.found
        ],
        "covariance": made.covariance.tolist(),
        "horizons_s": list(made.horizons_s),
        "errors": {who: {s: e.tolist() for s, e in streams.items()} for who, streams in made.errors.items()},
    }  # fmt: skip
