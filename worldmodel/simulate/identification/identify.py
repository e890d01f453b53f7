"""`identify`: a scene whose numbers fit recordings."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

from worldmodel.errors import SceneError
from worldmodel.files import check_output
from worldmodel.logs.reader import Log
from worldmodel.simulate.identification.fitting import Fit
from worldmodel.simulate.identification.measuring import SHARES, errors_of
from worldmodel.simulate.identification.parameters import Parameters
from worldmodel.simulate.identification.plan import Plan
from worldmodel.simulate.identification.recordings import Recording
from worldmodel.simulate.identification.roles import roles
from worldmodel.simulate.identification.windows import Windows, spread
from worldmodel.simulate.identification.writing import replaced, write_scene
from worldmodel.simulate.observer import Observer
from worldmodel.simulate.scene import Scene
from worldmodel.simulate.scene_file import load_scene
from worldmodel.simulate.world import World
from worldmodel.terminal import progress_bar

_HARDLY = 0.1  # of a number's variance: below, the data say hardly anything
_MOVES = 3.0  # how far readings must move, in deviations of their noise
_FAR = 10.0  # prior deviations


@dataclasses.dataclass(frozen=True)
class Found:
    """One number that was fitted.

    Attributes:
        name, group, unit: of the parameter.
        before, after, std: its values, and the standard deviation of the new one.
        factor: whether its uncertainty is that of a factor.
        share: how much of it the data decided, 0 to 1.
        at_bound: whether it ended at a bound, or far from where it began.
    """

    name: str
    group: str
    unit: str
    before: float
    after: float
    std: float
    factor: bool
    share: float
    at_bound: bool

    @property
    def told(self) -> str:
        """How clearly the data tell it, for people."""
        return "clearly" if self.share > 0.9 else "partly" if self.share > _HARDLY else "hardly: your value counts"


@dataclasses.dataclass(frozen=True)
class Identified:
    """A fitted scene.

    Attributes:
        scene: the user's. folder: of the fitted one. logs: that it was fitted to, and the hashes of their files.
        found: every number.
        covariance: [P, P] of their coordinates: of logarithms, or in their units.
        horizons_s: [T] at which errors are told.
        errors: NRMSE [T] by who (`hold`, `before`, `after`) and stream, on recordings that were not fitted if any.
        fitted, measured: names of the recordings. fitted_sha256, measured_sha256: hashes of their content.
        windows: how many were shot through, of so many `possible` ones. unstable: how many of them were left out in the
            end.
        cut: whether the time that was given ended the search before it had settled.
        seconds: it took.
        optimism: how many times as large the squared error of a recording is that is left out of the fit.
    """

    scene: Scene
    folder: Path
    logs: tuple[str, ...]
    logs_sha256: tuple[str, ...]
    found: tuple[Found, ...]
    covariance: np.ndarray
    horizons_s: tuple[float, ...]
    errors: dict[str, dict[str, np.ndarray]]
    fitted: tuple[str, ...]
    measured: tuple[str, ...]
    fitted_sha256: tuple[str, ...]
    measured_sha256: tuple[str, ...]
    windows: int
    possible: int
    unstable: int
    cut: bool
    seconds: float
    optimism: float

    def overall(self, who: str) -> np.ndarray:
        """[T] the root mean square over streams."""
        return np.sqrt(np.mean([each**2 for each in self.errors[who].values()], 0))


def identify(
    scene: Scene | Path | str,
    logs: Log | Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    fit: Sequence[str] | str = (),
    fix: Sequence[str] | str = (),
    horizon_s: float = 0.5,
    holdout: float = 0.15,
    minutes: float | None = None,
    seed: int = 0,
    force: bool = False,
    progress: bool = True,
) -> Identified:
    """Fits the numbers of a scene to recordings, and writes the fitted scene.

    Args:
        scene: a scene, a shipped one's name, or a folder.
        logs: recordings of the machine, whose streams the scene has.
        out: the folder to write.
        fit: a name or a group of numbers to fit, or several (`GROUPS`; `*` stands for anything, `default` for what
            suits); by default what the scene's file says, or else what suits.
        fix: what not to fit; by default what the scene's file says, unless `fit` is given.
        horizon_s: how far predictions shall be good, in seconds.
        holdout: share of the recordings that only measure, never that which moves most; 0 for none.
        minutes: the search ends after about so long, with what it has; by default when it has settled.
        seed: decides which recordings measure.
        force: replace a folder that exists.
        progress: show a bar.

    Raises:
        SceneError: if the log's streams are not the scene's, there is nothing to fit, the recordings tell nothing, or
            the fitted scene predicts no better than the given one. Nothing is written then.
    """
    began = time.monotonic()
    scene = scene if isinstance(scene, Scene) else load_scene(scene)
    log = logs if isinstance(logs, Log) else Log(logs)
    check_output(Path(out), force, inputs=[*log.files, *scene.folder.rglob("*")], replaces=replaced(scene))
    _check_span(horizon_s, holdout, minutes)
    check_streams(scene, log)
    world = World(scene, general=True)
    _check_delays(world)
    parameters = Parameters.of(world, fit, fix)
    world = parameters.world
    learn, measure = roles(scene, log, holdout, seed)
    recordings = [Recording.of(scene, log.episodes[i]) for i in learn]
    measuring = [Recording.of(scene, log.episodes[i]) for i in measure]
    if measuring:
        _check_length(measuring, horizon_s)
    plan = Plan(Observer(world), parameters, recordings, horizon_s, minutes)
    columns = TextColumn("fitting {task.description}"), BarColumn(), TimeElapsedColumn()
    with progress_bar(*columns, show=progress) as bar:
        done = plan.run(bar)
    result, windows = done.fit, done.windows
    _check_told(scene, result, windows)
    given, fitted = (parameters.machine(z) for z in (np.zeros(len(parameters)), result.z))
    errors = errors_of(plan.observer, measuring or recordings, horizon_s, given, fitted)
    _check_better(scene, errors, horizon_s)
    made = Identified(
        scene, Path(out), tuple(str(f) for f in log.files), tuple(log.file_sha256), _found(parameters, result),
        _scaled(parameters, result),
        tuple(horizon_s * share for share in SHARES), errors, tuple(r.name for r in recordings),
        tuple(log.episodes[i].name for i in measure),
        tuple(log.episode_sha256[i] for i in learn), tuple(log.episode_sha256[i] for i in measure),
        len(windows), done.possible, result.unstable, done.cut,
        time.monotonic() - began, result.optimism,
    )  # fmt: skip
    write_scene(made, fitted, world, force=force)
    return made


def check_streams(scene: Scene, log: Log) -> None:
    """Refuses a log without the sensors and actions of a scene.

    Raises:
        SceneError: naming the stream, the log's and the scene's.
    """
    for stream in (*scene.actions, *scene.read):
        spec = log.streams.get(stream.spec.name)
        if spec is None or spec.columns != stream.spec.columns:
            raise SceneError(
                f"The log has no stream {stream.spec.name!r} of {', '.join(stream.spec.columns)}.",
                expected=f"the scene's streams: {_told(s.spec for s in scene.streams)}",
                found=f"the log's: {_told(log.streams.values())}",
                remedy="name them alike in scene.toml",
            )
        if spec.units != stream.spec.units:
            raise SceneError(
                f"Stream {spec.name!r} has other units in the log.",
                expected=", ".join(stream.spec.units),
                found=", ".join(spec.units),
                remedy="ingest the log in the scene's units, or change scene.toml and the model's gears",
            )


def _check_delays(world: World) -> None:
    """Refuses delays of MuJoCo's own, which remember steps: what is fitted is `delay_s` of streams."""
    for kind, delays in (("actuator", world.model.actuator_delay), ("sensor", world.model.sensor_delay)):
        if len(late := np.flatnonzero(delays > 0)):
            first, seconds = world.elements.label(kind, int(late[0])), float(delays[late[0]])
            raise SceneError(
                f"{world.scene.model.name} keeps a history: the {kind} {first!r} has a delay of its own.",
                expected="no delay in the MJCF model, where it cannot be fitted",
                found=f'delay="{seconds:g}"',
                remedy=f"put delay_s = {seconds:g} on the stream in scene.toml, and leave the attribute out",
            )


def _check_told(scene: Scene, result: Fit, windows: Windows) -> None:
    told, moved = float(result.share.max()), windows.motion()
    if told < _HARDLY or max(moved.values()) < _MOVES:
        raise SceneError(
            f"The recordings tell little of {scene.name}.",
            expected="motion well above the noise, on which what is fitted has an influence",
            found=f"{told:.0%} of the best told number's variance explained; readings that move by "
            + ", ".join(f"{size:.2g} times their noise ({name})" for name, size in moved.items()),
            remedy="record larger, faster motion in both directions",
        )


def _told(specs) -> str:
    return "; ".join(f"{spec.name} ({', '.join(spec.columns)})" for spec in specs)


def _check_span(horizon_s: float, holdout: float, minutes: float | None) -> None:
    for name, value, most in (("--horizon", horizon_s, 60.0), ("--minutes", minutes, 1e5)):
        if value is not None and not 0 < value <= most:
            raise SceneError(f"{name} makes no sense.", expected=f"above 0, at most {most:g}", found=f"{value}")
    if not 0 <= holdout < 1:
        raise SceneError("--holdout makes no sense.", expected="a share, 0 to below 1", found=f"{holdout}")


def _check_length(recordings: Sequence[Recording], horizon_s: float) -> None:
    """Refuses recordings of which none is long enough to measure on."""
    if not len(spread(recordings, horizon_s)):
        raise SceneError(
            "What only measures is too short.",
            expected=f"a recording longer than {horizon_s:g} s among {', '.join(r.name for r in recordings)}",
            found=f"at most {max(r.seconds for r in recordings):.3g} s",
            remedy="another --seed measures on others, --holdout 0 on none; or ask for a shorter --horizon",
        )


def _found(parameters: Parameters, result: Fit) -> tuple[Found, ...]:
    std = np.sqrt(np.diag(result.covariance))
    return tuple(
        Found(
            p.name, p.group, p.unit, p.before, p.value(z), p.deviation(z, s), p.factor, float(share),
            bool((z <= p.least + 1e-9 and p.before > 0) or abs(z) > _FAR),
        )
        for p, z, s, share in zip(parameters.free, result.z, std, result.share, strict=True)
    )  # fmt: skip


def _scaled(parameters: Parameters, result: Fit) -> np.ndarray:
    """The covariance of logarithms of what moves by factors, and of values of the rest."""
    std = np.sqrt(np.diag(result.covariance))
    numbers = zip(parameters.free, result.z, std, strict=True)
    scale = np.array([p.scale if p.factor else p.deviation(z, s) / s for p, z, s in numbers])
    return result.covariance * scale[:, None] * scale


def _check_better(scene: Scene, errors: dict[str, dict[str, np.ndarray]], horizon_s: float) -> None:
    before, after = (float(np.sqrt(np.mean([e[-1] ** 2 for e in errors[who].values()]))) for who in ("before", "after"))
    if not after < before:
        raise SceneError(
            f"The fitted scene predicts the recordings no better than {scene.name}.",
            expected=f"an error below {before:.3g} at {horizon_s:g} s",
            found=f"{after:.3g}",
            remedy="record episodes with more motion, or choose what to fit with --fit",
        )
