"""Whether a scene has the streams that somebody asks of it."""

from collections.abc import Iterable, Mapping, Sequence

from worldmodel.errors import SceneError
from worldmodel.logs.same import Conformed
from worldmodel.simulate.scene import Scene
from worldmodel.types import StreamSpec


def check_streams(scene: Scene, streams: Iterable[StreamSpec], *, converted: bool = False) -> None:
    """Refuses a scene that lacks one of a run's streams, or has others of its name.

    Args:
        scene: a scene.
        streams: of the run.
        converted: units may differ where one becomes the other exactly, for who asks converts them.

    Raises:
        SceneError: naming the first, and what both have.
    """
    streams, own = list(streams), {stream.spec.name: stream.spec for stream in scene.streams}
    wanted = {spec.name: spec.columns for spec in streams}
    has = {name: spec.columns for name, spec in own.items()}
    if lacking := [name for name, columns in wanted.items() if has.get(name) != columns]:
        raise SceneError(
            f"The scene {scene.name} has no stream {lacking[0]!r} of {', '.join(wanted[lacking[0]])}.",
            expected=f"the run's streams: {_named(wanted)}",
            found=_named(has),
            remedy="name streams and columns alike in scene.toml, or choose the scene of this machine",
        )
    for spec in streams:
        read = Conformed.in_units(spec, own[spec.name].units)
        if read is None or not (converted or read.changes_nothing):
            raise SceneError(
                f"The scene {scene.name} has the stream {spec.name!r} in other units.",
                expected=", ".join(spec.units),
                found=", ".join(own[spec.name].units),
                remedy="give both the same units, in scene.toml with the model's gears, or in the log",
            )


def _named(streams: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{name} ({', '.join(columns)})" for name, columns in streams.items())
