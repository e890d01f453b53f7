"""Every notebook runs from top to bottom, shows what it promises, and imports the method without defining it."""

import ast
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST = 12  # lines of a function
BYTES = 1_500_000
# What runs in the kernel is the same, of a smaller model.
SHORTER = {"episodes=40": "episodes=5", 'preset="small", steps=350': 'preset="debug", steps=8'}
NOT_FINITE = re.compile(r"\b(nan|inf|infinity)\b", re.IGNORECASE)
HERE = re.compile(r"(?<![\w.:/])/(tmp|root|home|work|Users|var|private)/")  # the places that a run leaves traces of

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook) -> list:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def shorten(notebook) -> None:
    """Fewer drives, layers and updates; the figures are those in the file, which another test looks at."""
    for long, short in SHORTER.items():
        assert any(long in cell.source for cell in code_cells(notebook))
        for cell in code_cells(notebook):
            cell.source = cell.source.replace(long, short)


def texts(notebook) -> list[str]:
    """Whatever an output says in words."""
    said = [output.text for output in outputs(notebook) if output.output_type == "stream"]
    return said + [output.data["text/plain"] for output in outputs(notebook) if "text/plain" in output.get("data", {})]


def check_shown(notebook) -> None:
    """Pictures, a video that needs no file beside the notebook, and figures that are numbers."""
    shown = [output.data for output in outputs(notebook) if "data" in output]
    pictures = sum("image/png" in data or "data:image/png" in data.get("text/html", "") for data in shown)
    assert pictures >= 4
    assert any("data:video/" in data.get("text/html", "") for data in shown)
    assert not [text for text in texts(notebook) if NOT_FINITE.search(text)]
    assert not [output for output in outputs(notebook) if output.output_type == "error"]


def breaches(source: str) -> list[str]:
    """What a code cell does that belongs into the library."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            found.append(f"defines the class {node.name}")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= LONGEST:
            found.append(f"defines the long function {node.name}")
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        base = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        for name in (f"{base}{name}" for name in names):
            if name.startswith("worldmodel") and any(part.startswith("_") for part in name.split(".")):
                found.append(f"imports {name}, which is private")
    return found


def test_there_is_a_notebook():
    assert "01_quickstart" in [path.stem for path in NOTEBOOKS]


@each_notebook
def test_it_runs_and_shows_pictures_and_a_video(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    shorten(notebook)
    NotebookClient(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    check_shown(notebook)
    assert list(tmp_path.iterdir()) == []


@each_notebook
def test_what_is_kept_of_a_run_is_whole_small_and_tells_nothing_of_the_machine(path):
    notebook = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
    check_shown(notebook)
    assert not [output for output in outputs(notebook) if output.get("name") == "stderr"]
    assert not [text for text in texts(notebook) if HERE.search(text)]
    assert path.stat().st_size < BYTES


@each_notebook
def test_it_ends_with_the_result_as_jupyter_shows_it(path):
    last = code_cells(nbformat.read(path, as_version=4))[-1]
    assert last.source.splitlines()[-1] == "result"
    shown = last.outputs[-1].data["text/html"]
    assert "data:image/png" in shown
    assert "accelerometer" in shown


@each_notebook
def test_it_imports_the_method_and_defines_none(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.kernelspec.name == "python3"
    assert not [breach for cell in code_cells(notebook) for breach in breaches(cell.source)]


@pytest.mark.parametrize(
    "source",
    [
        "class Model:\n    pass",
        "def train():\n" + "    x = 1\n" * LONGEST,
        "from worldmodel.models import _private",
        "from worldmodel._content import sim",
        "import worldmodel.logs._reader",
        "if True:\n    from worldmodel.logs.reader import _LogFile",
    ],
)
def test_a_breach_is_seen(source):
    assert len(breaches(source)) == 1


@pytest.mark.parametrize("source", ["from worldmodel.logs import Log", "def f():\n" + "    x = 1\n" * (LONGEST - 1)])
def test_what_is_allowed_passes(source):
    assert breaches(source) == []
