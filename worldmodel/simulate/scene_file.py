"""Scenes in folders: an MJCF model and a `scene.toml` that says what is recorded of it (sim/README.md)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.codecs import KINDS, QUATERNION, XYZ
from worldmodel.content import content_dir
from worldmodel.errors import SceneError, WorldModelError
from worldmodel.geo import enu_to_geodetic
from worldmodel.simulate.scene import Excitation, JointLimits, JointReset, Outages, Scene, SceneStream, Wanted
from worldmodel.toml import REQUIRED, TomlTable
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, StreamSpec

FORMAT, VERSION = "worldmodel-scene", 1
_SCENE_FILE = "scene.toml"
_NUMBER = (int, float)
_SPANS = ("position", "velocity", "x", "y", "z", "roll", "pitch", "yaw")
_COLUMNS = {"position": list(XYZ), "orientation": list(QUATERNION), "pose": [*XYZ, *QUATERNION]}
_UNITS = {"position": "m", "orientation": "", "pose": ["m"] * 3 + [""] * 4}
_PATTERNS = 'a list of groups and names of numbers, as ["gain", "*.mass"]'
_WIDTH = "a plausible error above 0: a share of what moves by factors, else in the number's unit"
_LIMITS = ("position", "velocity", "x", "y", "z")


def shipped_scenes() -> list[str]:
    """The names of the scenes that come with the toolkit."""
    return sorted(path.parent.name for path in content_dir("sim").glob(f"*/{_SCENE_FILE}"))


def is_scene(path: str | Path) -> bool:
    """Whether it names a shipped scene, or the folder of one."""
    return str(path) in shipped_scenes() or (Path(path) / _SCENE_FILE).is_file()


def load_scene(scene: str | Path) -> Scene:
    """Reads a scene.

    Args:
        scene: the name of a shipped one, or a folder with a `scene.toml` and the MJCF file that it names.

    Raises:
        SceneError: if it cannot be found or read, naming the key, what was expected and what was found.
    """
    name, folder = str(scene), Path(scene)
    if name in shipped_scenes():
        folder = content_dir("sim") / name
    else:
        name = str(folder.resolve())  # a log that names it finds it from any other folder
    if not (folder / _SCENE_FILE).is_file():
        raise SceneError(
            f"There is no scene {str(scene)!r}.",
            expected=f"a shipped scene ({', '.join(shipped_scenes())}) or a folder with a {_SCENE_FILE}",
            remedy="sim/README.md says how to write one",
        )
    table = TomlTable.read(folder / _SCENE_FILE, SceneError)
    table.check_format(FORMAT, VERSION)
    where = "the path of an MJCF file, from the scene's folder"
    model = folder / table.take("model", str, where)
    if not model.is_file():
        raise table.error("model", where, model.name)
    description = table.take("description", str, "a line of text", "")
    settle_s = table.number("settle_s", "seconds, 0 or more", 0.0, least=0.0)
    origin = _read_origin(table.table("origin", {}))
    key, reset = _read_start(table.table("reset", {}))
    limits = table.table("limits", {})
    ends = {joint: _read_limits(limits.table(joint)) for joint in limits.names}
    wanted = _read_wanted(table.table("identify", {}))
    section = table.table("streams")
    if not section.names:
        raise table.error("streams", "at least one table [streams.NAME]", {})
    streams = tuple(_read_stream(section.table(name), name, origin) for name in section.names)
    table.finish()
    return Scene(name, description, model, settle_s, origin, key, reset, ends, streams, wanted)


def lost_scene(about: Mapping[str, object]) -> str:
    """What to say of a log, by what it says of itself, whose scene cannot be read any more; else nothing."""
    scene = str(about.get("scene") or "")
    if not scene:
        return ""
    try:
        load_scene(scene)
    except SceneError as error:
        return (
            f"The scene that this log names cannot be read, so there is no simulated twin of it: {error.problem}\n"
            f"  do:       put it back, or where it has moved: ln -s NEW_FOLDER {scene}"
        )
    return ""


def _read_origin(table: TomlTable) -> np.ndarray:
    degrees, metres = "degrees (WGS-84)", "metres above the ellipsoid"
    origin = [table.number("latitude", degrees, 0.0), table.number("longitude", degrees, 0.0)]
    origin.append(table.number("altitude", metres, 0.0))
    table.finish()
    return np.array(origin)


def _read_start(table: TomlTable) -> tuple[str | None, dict[str, JointReset]]:
    """The keyframe and the joints of a table [reset], in which a table [reset.key] is a joint of that name."""
    key = table.take("key", (str, int, dict), "the name or index of a keyframe", None)
    joints = {name: _read_reset(table.table(name)) for name in table.names}
    if isinstance(key, dict):
        return None, joints | {"key": _read_reset(TomlTable(table.path, f"{table.where}key.", key, SceneError))}
    return None if key is None else str(key), joints


def _read_reset(table: TomlTable) -> JointReset:
    pairs = {key: table.pair(key, "two numbers [low, high]", None) for key in _SPANS}
    above = table.number("above_ground", "metres, 0 or more", None, least=0.0)
    if above is not None and pairs["z"] is not None:
        raise table.error("above_ground", "either z or above_ground", above)
    table.finish()
    return JointReset(**pairs, above_ground=above)


def _read_limits(table: TomlTable) -> JointLimits:
    read = JointLimits(**{key: table.pair(key, "two numbers [low, high]", None) for key in _LIMITS})
    table.finish()
    return read


def _read_wanted(table: TomlTable) -> Wanted:
    """What is fitted of a scene; whether it has what is named here, only its model tells."""
    fit, fix = (tuple(table.take(key, list, _PATTERNS, [])) for key in ("fit", "fix"))
    for key, words in (("fit", fit), ("fix", fix)):
        if not all(isinstance(word, str) for word in words):
            raise table.error(key, _PATTERNS, list(words))
    priors = table.table("prior", {})
    widths = tuple((name, priors.number(name, _WIDTH)) for name in priors.names)
    for name, width in widths:
        if not width > 0:
            raise priors.error(name, _WIDTH, width)
    table.finish()
    return Wanted(fit, fix, widths)


def _read_stream(table: TomlTable, name: str, origin: np.ndarray) -> SceneStream:
    if "/" in name:
        raise table.error("", "a name without slashes", name)
    kind = table.choose("kind", tuple(KINDS))
    sources, columns, units, size = _read_content(table, kind)
    count = len(columns)
    rate = table.number("rate_hz", "samples a second, above 0")
    if not rate > 0:
        raise table.error("rate_hz", "samples a second, above 0", rate)
    noise = np.array(table.per_column("noise_std", _NUMBER, "a standard deviation", count, 0.0), float)
    if not (np.isfinite(noise) & (noise >= 0)).all():
        raise table.error("noise_std", "standard deviations, 0 or more", noise.tolist())
    bias, delay_s = np.zeros(count), 0.0
    if kind != "video":
        bias = np.array(table.per_column("bias", _NUMBER, "a number", count, 0.0), float)
        delay_s = table.number("delay_s", "seconds, 0 or more", 0.0, least=0.0)
    if not np.isfinite(bias).all():
        raise table.error("bias", "finite numbers", bias.tolist())
    circular = table.per_column("circular", bool, "true or false", count, False)
    frame = table.take("frame", str, "the frame of the values", "wgs84" if kind == "gps" else "")
    description = table.take("description", str, "a line of text", "")
    outages = _read_outages(table)
    excitation = _read_excitation(table.table("excitation"), count) if kind == "action" else None
    table.finish()
    known = np.zeros(count) if kind == "video" else noise
    if kind == "gps":  # as the columns have it: degrees and metres
        known = np.abs(enu_to_geodetic(noise[None], origin)[0] - origin)
    try:
        spec = StreamSpec(
            name, kind, columns, units, rate, frame, tuple(known), tuple(circular), size=size, description=description
        )
    except WorldModelError as error:
        raise SceneError(f"{table.path}: the table [streams.{name}] is wrong.\n  {error}") from error
    return SceneStream(spec, sources, noise, outages, excitation, delay_s, bias)


def _read_content(table: TomlTable, kind: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], Any]:
    """Sources, columns, units, and the size of video."""
    if kind == "video":
        size = table.take("size", list, "[rows, columns]")
        if len(size) != 2 or not all(isinstance(n, int) and n > 0 for n in size):
            raise table.error("size", "[rows, columns]", size)
        camera = table.take("camera", (str, int), "the name or index of a camera of the model")
        return (str(camera),), ("red", "green", "blue"), ("", "", ""), tuple(size)
    key = "actuators" if kind == "action" else "sensors"
    sources = _names(table, key, REQUIRED)
    if kind == "gps":
        return sources, GPS_COLUMNS, GPS_UNITS, None
    columns = _names(table, "columns", _COLUMNS.get(kind, list(sources)))
    return sources, columns, tuple(table.per_column("units", str, "a unit", len(columns), _UNITS.get(kind, ""))), None


def _names(table: TomlTable, key: str, default: Any) -> tuple[str, ...]:
    """Names, or indices as text."""
    names = table.take(key, list, "a list of names", default)
    if not names or not all(isinstance(name, str | int) and not isinstance(name, bool) for name in names):
        raise table.error(key, "a list of names", names)
    return tuple(map(str, names))


def _read_outages(table: TomlTable) -> Outages | None:
    outages = table.table("outages", {})
    if not outages.names:
        return None
    read = Outages(
        outages.number("every_s", "seconds, at least 0.1", least=0.1),
        outages.pair("seconds", "two numbers [low, high]"),
    )
    if read.seconds[0] < 0:
        raise outages.error("seconds", "seconds, 0 or more", list(read.seconds))
    outages.finish()
    return read


def _read_excitation(table: TomlTable, count: int) -> Excitation:
    low, high = (
        np.array(table.per_column(key, _NUMBER, "a number", count, REQUIRED), float) for key in ("low", "high")
    )
    if not ((low <= high) & np.isfinite(low) & np.isfinite(high)).all():
        raise table.error("low", "a finite number, at most `high`", low.tolist())
    hold = table.pair("hold_s", "two numbers [low, high] of seconds")
    if not hold[0] > 0:
        raise table.error("hold_s", "seconds above 0", list(hold))
    smooth_s = table.number("smooth_s", "seconds, 0 or more", 0.0, least=0.0)
    clip = table.take("clip", bool, "true or false", False)
    amplitude = table.pair("amplitude", "two factors [low, high], above 0 and at most 1", (1.0, 1.0))
    if not 0 < amplitude[0] <= amplitude[1] <= 1:
        raise table.error("amplitude", "two factors [low, high], above 0 and at most 1", list(amplitude))
    table.finish()
    return Excitation(low, high, hold, smooth_s, clip, amplitude)
