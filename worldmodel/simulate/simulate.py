"""Simulates a scene and records it as a log, with what really happened beside it as truth."""

from pathlib import Path

from worldmodel.errors import SceneError
from worldmodel.files import check_output
from worldmodel.logs.writer import LogWriter
from worldmodel.simulate.recorder import Branch, Recorder
from worldmodel.simulate.scene import Scene
from worldmodel.simulate.scene_file import load_scene
from worldmodel.simulate.world import World, free_cores
from worldmodel.terminal import progress_bar

_AT_ONCE = 8  # worlds in memory, or one for each core


def simulate(
    scene: Scene | Path | str,
    out: Path | str,
    *,
    episodes: int = 20,
    seconds: float = 20.0,
    seed: int = 0,
    branch: Branch | None = None,
    force: bool = False,
    progress: bool = True,
) -> Path:
    """Records simulated episodes of a scene as a log. The same seed gives the same log, whatever the number of cores.

    Args:
        scene: a scene, a shipped one's name, or a folder.
        out: the log to write.
        episodes: how many worlds.
        seconds: how long each.
        seed: decides starts, actions, noise and outages.
        branch: record each world several times, with actions that part from one another.
        force: replace a log that exists.
        progress: show a bar.

    Raises:
        SceneError: if the scene does not fit its model, or its physics becomes unstable.
        WorldModelError: if `out` exists or cannot be written.
    """
    scene = scene if isinstance(scene, Scene) else load_scene(scene)
    check_output(Path(out), force, inputs=scene.model.parent.rglob("*"))
    world = World(scene)
    for name, value, least in (("episodes", episodes, 1), ("seconds", seconds, world.step_s)):
        if not least <= value < float("inf"):
            raise SceneError(
                f"There is no simulating {value:g} {name}.", expected=f"{least:g} or more", found=str(value)
            )
    recorder = Recorder(scene, world, seconds, seed, branch)
    about = {"scene": scene.name, "description": scene.description, "seed": seed, "simulator": "MuJoCo"}
    specs = [stream.spec for stream in scene.streams]
    with (
        LogWriter(out, specs, truth=recorder.truth_specs, about=about, force=force) as writer,
        progress_bar(show=progress) as bar,
    ):
        branches = branch.count if branch else 1
        task = bar.add_task(f"simulating {scene.name}", total=episodes * branches)
        at_once = max(max(_AT_ONCE, free_cores()) // branches, 1)
        for first in range(0, episodes, at_once):
            worlds = range(first, min(first + at_once, episodes))
            for episode in recorder.record(worlds):
                writer.append(episode.streams, truth=episode.truth, name=episode.name, duration_s=episode.seconds)
            bar.advance(task, len(worlds) * branches)
        if progress and (note := recorder.note):
            print(note)
    return Path(out)
