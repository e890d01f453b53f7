"""The order of the library's sub-packages, and where heavy dependencies may be imported, read off the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "worldmodel"
# Each imports only those of its own line or of the lines before it.
LAYERS = (
    ("types", "arrays", "codecs", "geo", "units", "errors", "version"),
    ("allocator", "files", "patient", "content", "toml", "compiled", "progress", "terminal"),
    ("draw",),
    ("logs",),
    ("simulate",),
    ("models",),
    ("imagine",),
    ("live",),
    ("explore",),
    ("foreteller",),
    ("physics",),
    ("training",),
    ("validate",),
    ("report",),
    ("export",),
    ("serve",),
    ("benchmark",),
    ("demo",),
    ("cli",),
    ("__main__",),
)
DEPTH = {name: depth for depth, names in enumerate(LAYERS) for name in names}
VIDEO = "worldmodel/logs/video.py"
HOMES = {"mujoco": "worldmodel/simulate/", "av": VIDEO, "cv2": VIDEO, "h5py": "worldmodel/logs/"}
LAZY = ("matplotlib", "mujoco", "av", "cv2")


def parts_of(path: str) -> list[str]:
    """The module of a file, as the list of its names: worldmodel/logs/video.py is worldmodel, logs, video."""
    names = path.removesuffix(".py").split("/")
    return names[:-1] if names[-1] == "__init__" else names


def imported(node: ast.AST, path: str) -> Iterator[str]:
    """The absolute dotted names that one import statement asks for."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = path.split("/")[: -node.level] if node.level else []
        base = [*package, *(node.module or "").split(".")] if node.module else package
        yield from (".".join([*base, alias.name]) for alias in node.names)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def eager(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs when the module is imported: none in a function, none for the type checker alone."""
    children = node.orelse if is_type_checking(node) else ast.iter_child_nodes(node)
    for child in children:
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from eager(child)


def violations(path: str, source: str) -> list[str]:
    """What breaks a rule in a file of the library; `path` is relative to the repository's root."""
    tree = ast.parse(source)
    module = parts_of(path)
    own = module[1] if len(module) > 1 else None
    if own is not None and own not in DEPTH:
        return [f"{path}: {own} has no place in LAYERS"]
    found = []
    for name in (name for node in ast.walk(tree) for name in imported(node, path)):
        top, *rest = name.split(".")
        if top == "worldmodel" and own is not None:
            if not rest or rest[0] not in DEPTH:
                found.append(f"{path}: imports the library's front, {name}")
            elif DEPTH[rest[0]] > DEPTH[own]:
                found.append(f"{path}: {own} comes before {rest[0]} and imports {name}")
        if top in HOMES and not path.startswith(HOMES[top]):
            found.append(f"{path}: imports {top}, which only {HOMES[top]} may")
    for name in (name for node in eager(tree) for name in imported(node, path)):
        if name.split(".")[0] in LAZY:
            found.append(f"{path}: imports {name} outside a function")
    return found


def test_the_library_obeys():
    files = sorted(LIBRARY.rglob("*.py"))
    assert len(files) > 30
    found = [v for file in files for v in violations(file.relative_to(ROOT).as_posix(), file.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("worldmodel/logs/reader.py", "from worldmodel.training import run"),
        ("worldmodel/logs/reader.py", "from worldmodel import training"),
        ("worldmodel/logs/reader.py", "import worldmodel.training.run"),
        ("worldmodel/logs/reader.py", "from ..training import run"),
        ("worldmodel/logs/__init__.py", "from ..training import run"),
        ("worldmodel/logs/reader.py", "def f():\n    from worldmodel.training import run"),
        ("worldmodel/geo.py", "from worldmodel.logs import format"),
        ("worldmodel/training/run.py", "from worldmodel import Log"),
        ("worldmodel/training/run.py", "import worldmodel"),
        ("worldmodel/new/thing.py", ""),
        ("worldmodel/validate/floor.py", "def f():\n    import mujoco"),
        ("worldmodel/logs/reader.py", "def f():\n    import cv2"),
        ("worldmodel/training/data.py", "from h5py import File"),
        ("worldmodel/simulate/scene.py", "import mujoco"),
        ("worldmodel/simulate/scene.py", "try:\n    from mujoco import rollout\nexcept ImportError:\n    pass"),
        ("worldmodel/logs/inspect.py", "class Plot:\n    import matplotlib.pyplot as plt"),
        ("worldmodel/logs/inspect.py", "if TYPE_CHECKING:\n    pass\nelse:\n    import matplotlib"),
    ],
)
def test_a_breach_is_seen(path, source):
    assert len(violations(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("worldmodel/logs/reader.py", "import h5py\nfrom worldmodel.errors import WorldModelError"),
        ("worldmodel/logs/ingest/mp4.py", "from ..writer import LogWriter\nfrom . import gpmf"),
        ("worldmodel/simulate/scene.py", "def f():\n    import mujoco"),
        ("worldmodel/logs/inspect.py", "if TYPE_CHECKING:\n    from matplotlib.axes import Axes"),
        ("worldmodel/__init__.py", "from worldmodel.training import train"),
        ("worldmodel/cli/measuring.py", "from worldmodel import demo"),
    ],
)
def test_what_is_allowed_passes(path, source):
    assert violations(path, source) == []


@pytest.mark.parametrize("folder", ["datasets", "sim"])
def test_content_is_no_package(folder):
    assert (ROOT / folder).is_dir()
    assert list((ROOT / folder).rglob("*.py")) == []
