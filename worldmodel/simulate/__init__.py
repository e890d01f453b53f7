"""Simulating: MuJoCo scenes as recordings, and as the physical twin of a recording. The only part that needs MuJoCo."""

from worldmodel.simulate.excitation import BEHAVIOURS
from worldmodel.simulate.matching import check_streams
from worldmodel.simulate.recorded import Recorded
from worldmodel.simulate.recorder import Branch
from worldmodel.simulate.scene import Scene
from worldmodel.simulate.scene_file import is_scene, load_scene, lost_scene, shipped_scenes
from worldmodel.simulate.simulate import simulate
from worldmodel.simulate.suggest import suggest
from worldmodel.simulate.twin import Start, Twin

__all__ = [
    "BEHAVIOURS", "Branch", "Recorded", "Scene", "Start", "Twin", "check_streams", "is_scene", "load_scene",
    "lost_scene", "shipped_scenes", "simulate", "suggest",
]  # fmt: skip
