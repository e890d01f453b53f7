"""How libraries lay episodes out in an HDF5 file.

* robomimic: `data/demo_i` with `obs/KEY`, `actions`, `states` (https://robomimic.github.io/docs/datasets/overview.html);
* Minari: `episode_i` with `observations`, `actions`, `rewards`, one observation more than actions
  (https://minari.farama.org/content/dataset_standards);
* D4RL: `observations`, `actions`, `terminals`, `timeouts` of all episodes in one array each (arXiv 2004.07219);
* ManiSkill: `traj_i` with `obs`, `actions`, `env_states`, one observation more than actions
  (https://maniskill.readthedocs.io/en/latest/user_guide/datasets/demos.html);
* ACT: one episode, `observations` and `action`, of a mobile robot `base_action` too (https://github.com/tonyzhaozh/act).
"""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from worldmodel.logs.ingest.formats.hdf5.arrays import Piece, check_size, leaves

_ENDS = ("dones", "terminals", "timeouts", "terminations", "truncations")
_AGAIN = ("next_obs", "next_observations")  # the observations one step later
_NAMES = {"observations": "", "actions": "action", "rewards": "reward", "infos": ""}
_ACTIONS = ("action", "base_action")  # the streams that are commands


class Episode(NamedTuple):
    """One episode: its name, its number of steps, its arrays, and other spellings of its actions."""

    name: str
    steps: int
    pieces: list[Piece]
    left: list[str]


class Layout(NamedTuple):
    """One layout.

    Attributes:
        name: of the library.
        marks: what a file of it holds, for people.
        fits: whether a file has it.
        episodes: reads them.
        quaternions: whether arrays called `_quat` are orientations (`told.scalar_of`).
    """

    name: str
    marks: str
    fits: Callable[[Any], bool]
    episodes: Callable[[Any], Iterator[Episode]]
    quaternions: bool = False


def layout_of(file: Any) -> Layout | None:
    """The layout of a file; None if it has none of these."""
    return next((layout for layout in LAYOUTS if layout.fits(file)), None)


def _numbered(group: Any, prefix: str) -> list[str]:
    """The names of a group's groups `prefix` and a number, by that number."""
    found = [(int(name[len(prefix) :]), name) for name in group if re.fullmatch(prefix + r"\d{1,12}", name)]
    return [name for _, name in sorted(found)]


def _has_demos(file: Any) -> bool:
    demos = _numbered(file["data"], "demo_")[:1] if _is_group(file.get("data")) else []
    return bool(demos) and "actions" in file["data"][demos[0]]


def _robomimic(file: Any) -> Iterator[Episode]:
    for name in _numbered(file["data"], "demo_"):
        demo = file["data"][name]
        yield _episode(demo, name.replace("_", " "), {"obs": "", "actions": "action", "rewards": "reward"})


def _has_trajectories(file: Any) -> bool:
    trajectories = _numbered(file, "traj_")[:1]
    return bool(trajectories) and _is_group(file[trajectories[0]]) and "actions" in file[trajectories[0]]


def _maniskill(file: Any) -> Iterator[Episode]:
    for name in _numbered(file, "traj_"):
        yield _episode(file[name], name.replace("_", " "), {"obs": "", "actions": "action", "rewards": "reward"})


def _has_episodes(file: Any) -> bool:
    episodes = _numbered(file, "episode_")[:1]
    return bool(episodes) and {"observations", "actions"} <= set(file[episodes[0]])


def _minari(file: Any) -> Iterator[Episode]:
    for name in _numbered(file, "episode_"):
        yield _episode(file[name], name.replace("_", " "), _NAMES)


def _is_flat(file: Any) -> bool:
    return {"observations", "actions", "terminals"} <= set(file) and hasattr(file["actions"], "shape")


def _d4rl(file: Any) -> Iterator[Episode]:
    """Episodes end with the rows that are terminal or timed out."""
    whole = _episode(file, "", _NAMES)
    ended = np.zeros(whole.steps, bool)
    for name in ("terminals", "timeouts"):
        if name in file:
            check_size(file[name], len(file[name]))
            ended |= np.asarray(file[name][: whole.steps], bool).ravel()
    edges = sorted({0, *(np.flatnonzero(ended) + 1).tolist(), whole.steps})
    for number, (start, stop) in enumerate(itertools.pairwise(edges)):
        pieces = [piece._replace(start=start, stop=stop) for piece in whole.pieces if piece.rows == whole.steps]
        others = [piece for piece in whole.pieces if piece.rows != whole.steps] if not number else []
        yield Episode(f"episode {number}", stop - start, pieces + others, whole.left)


def _is_act(file: Any) -> bool:
    return "action" in file and _is_group(file.get("observations")) and hasattr(file["action"], "shape")


def _act(file: Any) -> Iterator[Episode]:
    name = re.split(r"[/\\]", str(file.filename))[-1]
    yield _episode(file, name, {"observations": "", "action": "action", "base_action": "base_action"})


def _episode(group: Any, name: str, names: dict[str, str]) -> Episode:
    """An episode of a group's arrays; `names` tells what each of its items is called, empty for its own names."""
    keys = [key for key in group if key not in (*_ENDS, *_AGAIN, "metadata")]
    left = [key for key in keys if "action" in key and key not in names]
    pieces = [
        Piece(own, array, 0, len(array), names.get(key) in _ACTIONS)
        for key in keys
        if key not in left
        for own, array in leaves(group, key, names.get(key, key))
    ]
    steps = next((piece.rows for piece in pieces if piece.is_action), 0)
    return Episode(name, steps, pieces, left)


def _is_group(item: Any) -> bool:
    import h5py

    return isinstance(item, h5py.Group)


LAYOUTS = (
    Layout("robomimic", "data/demo_0", _has_demos, _robomimic, quaternions=True),
    Layout("Minari", "episode_0", _has_episodes, _minari),
    Layout("ManiSkill", "traj_0", _has_trajectories, _maniskill),
    Layout("D4RL", "observations, actions, terminals", _is_flat, _d4rl),
    Layout("ACT", "observations, action", _is_act, _act),
)
