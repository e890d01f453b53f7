"""What an HDF5 file of episodes says of itself: its rate, its environment and its MuJoCo model."""

import contextlib
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.damage import read_json

METADATA = "metadata.json"  # of Minari, beside the file; ManiSkill's has the file's own name
_MODEL = "model_file"
_RATES = ("control_freq", "control_frequency", "fps", "render_fps", "frequency")
_SIMULATED, _SUBSTEPS = "dt", "decimation"  # a step has so many of the simulation's
_PERIODS = (_SIMULATED, "control_timestep", "control_dt")
_ROBOSUITE = 1  # of robomimic's types of environments
_NAMES = ("env_name", "env_id", "id", "dataset_id")
_DEEPEST = 8


def rate_of(file: Any, path: Path) -> tuple[float | None, str]:
    """Steps a second, None where nothing says, and the environment's name after " of", empty where nothing says."""
    return rate_in(_told(file, path))


def rate_in(said: Iterable[tuple[str, Any]]) -> tuple[float | None, str]:
    """The same of keys and values."""
    told = list(said)
    numbers = [(key, value) for key, value in told if isinstance(value, int | float) and value and math.isfinite(value)]
    substeps = next((value for key, value in numbers if key == _SUBSTEPS), 1)
    parts = {_SIMULATED: substeps}  # of a step, as Isaac Lab has it
    hertz = [
        value if key in _RATES else 1 / (value * parts.get(key, 1))
        for key, value in numbers
        if key in (*_RATES, *_PERIODS)
    ]
    names = (value for key, value in told if key in _NAMES and isinstance(value, str))
    name = next(names, "")[:100]
    return next((float(rate) for rate in hertz if 0 < rate < 1e6), None), f" of {name}" if name else ""


def scalar_of(file: Any, path: Path) -> int | None:
    """Where robomimic's quaternions have their scalar: last in robosuite, first in Isaac Lab; None where none knows."""
    told = list(_told(file, path))
    if any(key == "env_name" and str(value).startswith("Isaac") for key, value in told):
        return 0
    kind = next((value for key, value in told if key == "type" and isinstance(value, int)), _ROBOSUITE)
    return 3 if kind == _ROBOSUITE else None


def _told(file: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """Every key and value of the attributes, with what is JSON in them, and of the metadata beside the file."""
    for group in (file, file.get("data"), *[file[name] for name in file if name == "episode_0"]):
        attrs = getattr(group, "attrs", {})
        yield from flat({key: attrs[key] for key in attrs})
    for beside in (path.with_name(METADATA), path.with_suffix(".json")):
        if beside.is_file():
            with contextlib.suppress(RecipeError):
                yield from flat(read_json(beside))


def flat(value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every key and value of a mapping and of those in it, also where they are JSON in a text."""
    if not isinstance(value, Mapping) or depth > _DEEPEST:
        return
    for key, item in value.items():
        item = getattr(item, "tolist", lambda item=item: item)()
        if isinstance(item, str) and item.startswith("{"):
            try:
                item = json.loads(item)
            except (ValueError, RecursionError):
                continue
        yield str(key), item
        yield from flat(item, depth + 1)


def mjcf_of(file: Any) -> tuple[str, int]:
    """The MJCF of the first episode, empty where there is none, and how many different ones there are."""
    groups = file.get("data", file)
    models = [groups[name].attrs[_MODEL] for name in groups if _MODEL in getattr(groups[name], "attrs", ())]
    texts = [model if isinstance(model, str) else bytes(model).decode(errors="replace") for model in models]
    return (texts[0] if texts else ""), len({hashlib.sha256(text.encode()).digest() for text in texts})
