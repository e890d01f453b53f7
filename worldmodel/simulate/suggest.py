"""A first `scene.toml` for a bare MJCF model."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.errors import SceneError
from worldmodel.logs.reader import Log, Stream
from worldmodel.simulate.elements import Elements, Owner, distinct
from worldmodel.simulate.model import compile_model, control_ranges, enabled_controls, mujoco
from worldmodel.simulate.quantities import Control, Quantities
from worldmodel.simulate.scene_file import load_scene
from worldmodel.simulate.simulate import simulate
from worldmodel.toml import quoted, table

_FREE = ("framepos", "framequat", "framelinvel", "frameangvel")  # what reads a free joint, through its body
_ONE, _BALL = ("jointpos", "jointvel"), ("ballquat", "ballangvel")
_HZ, _CAMERA_HZ = 50.0, 10.0  # at most
_ABOUT_KEY = 0.25  # of the control range, to either side of a keyframe's control
_SHARES = (1.0, 0.5, 0.25, 0.1, 0.03)  # of the excitation, tried in turn until the simulation lasts
_TRY_WORLDS, _TRY_S = 2, 5.0  # enough to see whether it moves
_MOVES = 0.03  # of the fastest
_STILL = "# ? When it was tried, nothing moved any more after {:.1f} s: simulate episodes no longer than that.\n"
_HEAD = """# A first scene for {file}, by `worldmodel simulate --suggest`. Save it as scene.toml beside the model.
# Lines that begin with "# ?" name doubts: read them, and change what follows. sim/README.md describes the format.
# ? Its readings are free of noise: noise_std gives them that of the machine's own sensors.
format = "worldmodel-scene"
version = 1
description = {description}
model = {model}
"""


def suggest(model: Path | str) -> str:
    """The text of a first scene: a stream for each type of sensor and of joint reading, a camera, and all controls.

    It has been tried: the excitation is made weaker until simulated worlds stay finite.

    Args:
        model: an MJCF file.

    Raises:
        SceneError: if it cannot be read, nothing in it moves, or it does not stay finite whatever is commanded.
    """
    draft = _Draft(Path(model))
    for share in _SHARES:
        text = draft.text(share)
        try:
            moving_s = _moving_s(text, draft.path)
        except SceneError as error:
            if "unstable" not in error.problem:
                raise
            found = error.found
        else:
            return (_STILL.format(moving_s) if moving_s < _TRY_S / 2 else "") + text
    raise SceneError(
        f"{model} does not stay finite, however weakly it is driven.",
        expected=f"{_TRY_S:g} s of physics",
        found=found,
        remedy="use a smaller timestep in the MJCF model",
    )


def _moving_s(text: str, model: Path) -> float:
    """Simulates a scene without its camera, and says for how long anything moves."""
    with tempfile.TemporaryDirectory() as folder:
        place = f"model = {quoted(str(model.resolve()))}"
        text = text.replace(f"model = {quoted(model.name)}\n", f"{place}\n", 1)
        (Path(folder) / "scene.toml").write_text(text, encoding="utf-8")
        scene, tried = load_scene(folder).without_video(), Path(folder) / "try.h5"
        simulate(scene, tried, episodes=_TRY_WORLDS, seconds=_TRY_S, progress=False)
        with Log(tried, truth=True) as log:
            return max(_last_motion_s(episode.truth["state"]) for episode in log.episodes)


def _last_motion_s(state: Stream) -> float:
    """When a simulated state last moved, by a thirtieth of the fastest that each of its coordinates did."""
    speed = np.abs(np.diff(state.data, axis=0))
    moves = (speed > np.maximum(_MOVES * speed.max(0), 1e-9)).any(1)
    return float(state.time[np.flatnonzero(moves)[-1]]) if moves.any() else 0.0


class _Draft:
    """What a model holds, to write a scene from."""

    def __init__(self, path: Path) -> None:
        self.path, mj = path, mujoco()
        bare = compile_model(mj, path)
        lacking = _lacking(mj, bare, Elements(mj, bare))
        self.model = compile_model(mj, path, lacking)
        self.elements = Elements(mj, self.model)
        self.quantities = Quantities(mj, self.model, self.elements, control_ranges(mj, self.model))
        self.enabled = enabled_controls(mj, self.model)
        self.keys = self.elements.listed("key")
        self.key = "home" if "home" in self.keys else next(iter(self.keys), None)
        if not self.model.njnt:
            raise SceneError(f"Nothing moves in {path}.", expected="a model with joints", found="none")

    def text(self, share: float) -> str:
        """The scene, driven over a share of the range of its controls."""
        name = self.path.name
        head = _HEAD.format(file=name, description=quoted(f"First scene of {name}"), model=quoted(name))
        delay = float(self.model.sensor_delay.max(initial=0.0))
        settle = f"settle_s = {delay:.9g} # until delayed sensors have their first value\n" if delay else ""
        return "\n".join([head + settle, self._reset(), *self._sensors(), self._camera(), self._controls(share)])

    def _reset(self) -> str:
        if self.key is None:
            return (
                "# ? Every world starts alike, as the model says, for it has no keyframe.\n"
                "# [reset.JOINT] spreads the starts; sim/README.md says how.\n"
            )
        others = [k for k in self.keys if k != self.key]
        also = f" The model also has {', '.join(others)}." if others else ""
        key = self.key if self.key.isdecimal() else quoted(self.key)
        return f"# ? Every world starts alike, from this keyframe.{also}\n[reset]\nkey = {key}\n"

    def _sensors(self) -> list[str]:
        """A stream for each type of sensor."""
        types: dict[str, list[int]] = {}
        for sensor in range(self.elements.count("sensor")):
            types.setdefault(self.elements.sensor_type(sensor), []).append(sensor)
        return [self._sensor(word, sensors) for word, sensors in types.items()]

    def _sensor(self, word: str, sensors: Sequence[int]) -> str:
        columns, units, wraps = [], [], []
        for sensor in sensors:
            axes, unit = self.quantities.axes(sensor), self.quantities.sensor_unit(sensor)
            label = self._label(sensor)
            columns += [_column(label, axis, len(sensors)) for axis in axes]
            units += [unit] * len(axes)
            wraps += [self.quantities.wraps(sensor)] * len(axes)
        columns = distinct(columns)
        doubts = ["their unit is not known"] * (None in units)
        doubts += ["q and -q are the same turn, of which four numbers know nothing"] * word.endswith("quat")
        doubts += ["they read -1 where nothing is in their way"] * (word == "rangefinder")
        doubts += ["angles of joints without limits are taken to wrap (circular)"] * any(wraps)
        return table(
            f"streams.{word}", _said(doubts),
            {
                "kind": "sensor", "sensors": [self.elements.address("sensor", s) for s in sensors], "columns": columns,
                "units": _short([unit or "" for unit in units]), "rate_hz": self._rate(_HZ),
                **({"circular": _short(wraps)} if any(wraps) else {}),
            },
        )  # fmt: skip

    def _label(self, sensor: int) -> str:
        """A sensor's name, but of those that a scene adds, that of what they read."""
        name = self.elements.name("sensor", sensor)
        owner = self.elements.owner("sensor", sensor)
        added = owner is not None and name.startswith(f"{owner.what}:")
        return self.elements.label(owner.kind, owner.id) if owner and (added or not name) else name

    def _camera(self) -> str:
        cameras = self.elements.listed("camera")
        if not cameras:
            return "# The model has no camera, so nothing is filmed. A <camera> of it can be, as sim/README.md says.\n"
        doubts = [f"other cameras: {', '.join(cameras[1:])}"] * (len(cameras) > 1)
        words = {"kind": "video", "camera": cameras[0], "size": [64, 64], "rate_hz": self._rate(_CAMERA_HZ)}
        return table("streams.camera", _said(doubts), words)

    def _controls(self, share: float) -> str:
        controls = [c for c, acts in zip(self.quantities.controls(), self.enabled, strict=True) if acts]
        if not controls:
            return "# ? The model has no actuators that act, so nothing is commanded.\n"
        unknown, guessed = [[c.address for c in controls if getattr(c, doubt)] for doubt in ("unknown", "guessed")]
        doubts = [f"the unit is not known of {', '.join(unknown)}"] * bool(unknown)
        doubts += [f"the range is a guess, for there is no ctrlrange, of {', '.join(guessed)}"] * bool(guessed)
        if self.quantities.feels_commands():
            doubts.append("what feels forces reads a command at once, which none can foresee: give actuators a lag")
        stream = {
            "kind": "action", "actuators": [c.address for c in controls],
            "columns": distinct([c.label for c in controls]), "units": _short([c.unit for c in controls]),
            "rate_hz": self._rate(_HZ),
        }  # fmt: skip
        return table("streams.controls", _said(doubts), stream) + "\n" + self._excitation(controls, share)

    def _excitation(self, controls: Sequence[Control], share: float) -> str:
        low, high = (np.array([getattr(c, end) for c in controls]) for end in ("low", "high"))
        doubts = ["it is driven at random over the whole range of each control"]
        if self.key is not None:
            at = np.clip(self.model.key_ctrl[self.elements.find("key", self.key), self.enabled], low, high)
            reach = _ABOUT_KEY * (high - low)
            low, high = np.maximum(low, at - reach), np.minimum(high, at + reach)
            doubts = ["it is driven at random about the keyframe's controls, by up to a quarter of each one's range"]
        inwards = (1 - share) * (high - low) / 2
        low, high = low + inwards, high - inwards
        doubts += [f"of that, only {share:g} is used: with more, the simulation became unstable"] * (share < 1)
        ends = {
            name: _short([_shortest(value, *within) for value, *within in zip(values, low, high, strict=True)])
            for name, values in (("low", low), ("high", high))
        }
        return table("streams.controls.excitation", _said(doubts), {**ends, "hold_s": [0.2, 1.0], "smooth_s": 0.1})

    def _rate(self, at_most: float) -> float:
        """The highest rate up to a number that whole physics steps meet."""
        step = float(self.model.opt.timestep)
        return float(f"{1 / (math.ceil(1 / (at_most * step) - 1e-6) * step):.12g}")


def _lacking(mj: Any, model: Any, elements: Elements) -> list[str]:
    """Sensors that would read the joints that no sensor of the model reads, type by type."""
    turned = {int(mj.mjtJoint.mjJNT_FREE): _FREE, int(mj.mjtJoint.mjJNT_BALL): _BALL}
    read = {owner for i in range(elements.count("sensor")) for owner in _reads(model, elements, i)}
    wanted = []
    for joint in range(model.njnt):
        types = turned.get(int(model.jnt_type[joint]), _ONE)
        thing = ("body", int(model.jnt_bodyid[joint])) if types is _FREE else ("joint", joint)
        wanted += [Owner(word, *thing) for word in types]
    lacking = sorted((w for w in wanted if w not in read), key=lambda owner: (*_FREE, *_ONE, *_BALL).index(owner.what))
    return [f"{owner.what}:{elements.address(owner.kind, owner.id)}" for owner in lacking]


def _reads(model: Any, elements: Elements, sensor: int) -> list[Owner]:
    """What a sensor tells of: itself, and where it sits on a body, also the like of that body's frame."""
    owner = elements.owner("sensor", sensor)
    if owner is None:
        return []
    alike = {"gyro": "frameangvel", "velocimeter": "framelinvel"}.get(owner.what, owner.what)
    sites = [Owner(alike, "body", int(model.site_bodyid[owner.id]))] if owner.kind == "site" else []
    return [owner, *sites]


def _short(values: list[Any]) -> Any:
    """One value where it stands for all."""
    return values[0] if len(set(values)) == 1 else values


def _column(label: str, axis: str, sensors: int) -> str:
    return "_".join(word for word in (label if sensors > 1 or not axis else "", axis) if word)


def _said(doubts: Sequence[str]) -> str:
    return "".join(f"# ? {doubt[0].upper()}{doubt[1:]}.\n" for doubt in doubts)


def _shortest(value: float, low: float, high: float) -> float:
    """The number of fewest digits, four or more, next to a value and within its range."""
    rounded = (float(f"{value:.{digits}g}") for digits in range(4, 18))
    return next(number for number in rounded if low <= number <= high)
