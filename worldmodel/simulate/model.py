"""MuJoCo models, compiled from MJCF. The only module that imports MuJoCo."""

import contextlib
import ctypes
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.errors import SceneError, WorldModelError
from worldmodel.simulate.elements import Elements

# What a sensor type reads, for sensors that a scene names and its model lacks.
_READS = {
    "joint": ("jointpos", "jointvel", "ballquat", "ballangvel"),
    "tendon": ("tendonpos", "tendonvel"),
    "actuator": ("actuatorpos", "actuatorvel", "actuatorfrc"),
    "site": ("accelerometer", "gyro", "velocimeter", "force", "torque", "magnetometer"),
    "body": ("framepos", "framequat", "framelinvel", "frameangvel", "framelinacc", "frameangacc"),
}
_LISTS = {"joint": "joints", "tendon": "tendons", "actuator": "actuators", "site": "sites", "body": "bodies"}

EGL = "libEGL.so.1"
_GROUPS = 31  # that can be disabled
_REMEDIES = {  # by what MuJoCo says
    "opening file": "put the files that it includes, its meshes and textures, where it looks for them",
    "mujocoinclude": "this is a part of a model: name the file that includes it",
}

_HEARING: dict[int, list[str]] = {}  # who collects warnings now; MuJoCo has one handler, which threads share
_INSTALLED, _INSTALLING = contextlib.ExitStack(), threading.Lock()


def mujoco() -> Any:
    """The module `mujoco`, set up to draw off-screen; without EGL, as on many servers, it simulates and draws nothing.

    Raises:
        WorldModelError: if it cannot be loaded.
    """
    if sys.platform.startswith("linux"):
        os.environ.setdefault("MUJOCO_GL", "egl" if _loads(EGL) else "off")  # off-screen, with or without a GPU
        os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa draws in our thread: each core has a world of its own
    try:
        import mujoco
        import mujoco.rollout
    except (AttributeError, ImportError, OSError) as error:  # PyOpenGL raises the first where it finds no library
        raise WorldModelError(
            "MuJoCo cannot be loaded.",
            found=str(error),
            remedy="pip install mujoco, and apt-get install -y libgl1 libegl1",
        ) from error
    return mujoco


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def compile_model(
    mj: Any, path: Path, sensors: Sequence[str] = (), general: bool = False, lagging: Sequence[int] = ()
) -> Any:
    """The model of an MJCF file, with those of the sensors `TYPE:OBJECT` that it lacks and that it could have.

    Args:
        mj: the module `mujoco`.
        path: the file.
        sensors: addresses of sensors.
        general: compile without MuJoCo's shortcuts for bodies whose centre of mass is at their frame, or at a geom's:
            the same physics, and centres may be moved afterwards.
        lagging: actuators that get a lag of 0.

    Raises:
        SceneError: if the file is not there, or not a valid model with a physics step.
    """
    if not path.is_file():
        raise SceneError(f"There is no model {path}.", expected="an MJCF file", remedy="name one")
    try:
        with warnings_of(mj):
            model = mj.MjModel.from_xml_path(str(path))
            elements = Elements(mj, model)
            lacking = [s for s in dict.fromkeys(sensors) if not elements.matches("sensor", s) and _read(elements, s)]
            anew = lacking or general or lagging
            model = _anew(mj, path, elements, lacking, general, lagging) if anew else model
    except ValueError as error:
        found = " ".join(str(error).split())  # the line number comes last
        remedy = next((remedy for words, remedy in _REMEDIES.items() if words in found), "mend the model")
        raise SceneError(f"{path} is not a valid MJCF model.", found=found, remedy=remedy) from error
    if not 0 < model.opt.timestep < float("inf"):
        raise SceneError(
            f"{path} has no physics step.", expected="a timestep in seconds", found=str(model.opt.timestep)
        )
    return model


@contextlib.contextmanager
def warnings_of(mj: Any) -> Iterator[list[str]]:
    """Collects MuJoCo's warnings, which it would print, and write to a file where the program runs.

    They do not tell which simulation they are of: threads that collect at once hear one another's.
    """
    heard: list[str] = []
    with _INSTALLING:
        if not _HEARING:
            _INSTALLED.enter_context(_handler(mj))
        _HEARING[id(heard)] = heard
    try:
        yield heard
    finally:
        with _INSTALLING:
            del _HEARING[id(heard)]
            if not _HEARING:
                _INSTALLED.close()


@contextlib.contextmanager
def _handler(mj: Any) -> Iterator[None]:
    """MuJoCo's warnings go to all who hear."""
    before = mj.get_mju_user_warning()
    mj.set_mju_user_warning(_tell)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # said a second time
            yield
    finally:
        mj.set_mju_user_warning(before)


def _tell(warning: str) -> None:
    for heard in tuple(_HEARING.values()):
        heard.append(warning)


def _read(elements: Elements, sensor: str) -> tuple[str, int] | None:
    """Kind and index of what a sensor `TYPE:OBJECT` would read; None where there is no one such thing."""
    what, _, thing = sensor.partition(":")
    for kind, types in _READS.items():
        found = elements.matches(kind, thing) if what in types else []
        if len(found) == 1:
            return kind, found[0]
    return None


def let_lag(mj: Any, spec: Any, model: Any, actuators: Sequence[int]) -> None:
    """Gives actuators of a specification, of which this is the model, a lag of 0; in place.

    Their activation acts in the step in which it changes (`actearly`), so that they follow their command as before. In
    keyframes they have followed it.
    """
    for actuator in actuators:
        spec.actuators[actuator].dyntype = mj.mjtDyn.mjDYN_FILTEREXACT
        spec.actuators[actuator].dynprm[0], spec.actuators[actuator].actearly = 0.0, True
    for row, key in enumerate(spec.keys):
        act: list[float] = []
        for actuator in range(len(model.actuator_trntype)):
            first, count = int(model.actuator_actadr[actuator]), int(model.actuator_actnum[actuator])
            control = int(model.actuator_ctrladr[actuator])
            lags = actuator in actuators
            act += [model.key_ctrl[row, control]] if lags else [*model.key_act[row, first : first + count]]
        key.act = act


def _anew(
    mj: Any, path: Path, elements: Elements, sensors: Sequence[str], general: bool, lagging: Sequence[int]
) -> Any:
    """The model compiled again with these sensors at its end. MuJoCo wants what they read to have a name."""
    spec = mj.MjSpec.from_file(str(path))
    bare = spec.compile()  # which gives elements their indices
    let_lag(mj, spec, bare, lagging)
    for sensor in sensors:
        read = _read(elements, sensor)
        assert read is not None
        kind, index = read
        (element,) = (e for e in getattr(spec, _LISTS[kind]) if e.id == index)
        element.name = element.name or elements.label(kind, index)
        spec.add_sensor(
            name=sensor,
            type=getattr(mj.mjtSensor, f"mjSENS_{sensor.partition(':')[0].upper()}"),
            objtype=mj.mjtObj.mjOBJ_XBODY if kind == "body" else mj.mju_str2Type(kind),
            objname=element.name,
        )
    if not general:
        return spec.compile()
    for body in spec.bodies[1:]:
        body.simple = 0
    model = spec.compile()
    keep_frames_apart(mj, model)
    return model


def keep_frames_apart(mj: Any, model: Any) -> None:
    """Forbids MuJoCo to take a centre of mass that is a micrometre off for one that is not; in place.

    It decides that anew whenever `mj_setConst` is called.
    """
    for frames in (model.body_sameframe, model.geom_sameframe, model.site_sameframe):
        frames[:] = int(mj.mjtSameFrame.mjSAMEFRAME_NONE)


def control_ranges(mj: Any, model: Any) -> np.ndarray:
    """Least and greatest value [U, 2] that each control applies; infinite where it is not limited."""
    clamped = model.actuator_ctrllimited.astype(bool) & (not model.opt.disableflags & mj.mjtDisableBit.mjDSBL_CLAMPCTRL)
    return np.where(clamped[:, None], model.actuator_ctrlrange, [-np.inf, np.inf])


def enabled_controls(mj: Any, model: Any) -> np.ndarray:
    """bool [U] which controls act: those of actuators that no option of the model disables."""
    grouped = (model.actuator_group >= 0) & (model.actuator_group < _GROUPS)
    off = grouped & ((model.opt.disableactuator >> np.where(grouped, model.actuator_group, 0)) & 1).astype(bool)
    off |= bool(model.opt.disableflags & mj.mjtDisableBit.mjDSBL_ACTUATION)
    return np.repeat(~off, model.actuator_ctrlnum)
