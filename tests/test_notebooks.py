"""Every notebook runs from top to bottom, shows what it promises, and imports the method without defining it."""

import ast
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from worldmodel import demo

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST = 12  # lines of a function
MOST_LINES = 100  # of code
BYTES = 1_500_000
# What runs in the kernel is the same, of a smaller model, over fewer and shorter drives.
SHORTER = {
    "01_quickstart": {
        "episodes=40": "episodes=3", "episodes=4,": "episodes=2,", "seconds=10": "seconds=7",
        'preset="small"': 'preset="debug"', "steps=350": "steps=1",
        'log="runs/quickstart/held_out.h5"': 'log="runs/quickstart/held_out.h5", max_starts=8',
    },
    "02_my_own_log": {
        "context_s=1.0, horizon_s=1.0": 'preset="debug", steps=1, dt=0.25, context_s=1.0, horizon_s=2.0',
        'log=FOLDER / "kept_back.h5"': 'log=FOLDER / "kept_back.h5", max_starts=16',
    },
    "03_can_i_trust_it": {"max_starts=200": "max_starts=8"},
    "04_what_if": {"EPISODE, AT_S, AHEAD_S = 14, 6.0": "EPISODE, AT_S, AHEAD_S = 1, 3.0"},
    "05_what_does_the_latent_know": {},
    "06_outages": {"max_starts=128": "max_starts=8"},
    "07_live": {
        "EPISODES, SECONDS = 10, 20": "EPISODES, SECONDS = 3, 6",
        "context_s=0.64, horizon_s=0.64": 'preset="debug", steps=1, dt=0.1, context_s=0.4, horizon_s=0.8',
    },
}  # fmt: skip
# As the quickstart trains on the same drives, which finds it compiled.
FEWER = {"FEW": 3, "FEW_HELD_OUT": 3, "SECONDS": 7.0}
SMALL = {"preset": "debug", "steps": 1, "context_s": 1.6, "horizon_s": 3.0}
PICTURES = {"01_quickstart": 4, "03_can_i_trust_it": 3}  # at least; of the others 2
NOT_FINITE = re.compile(r"\b(nan|inf|infinity)\b(?! or infinite)", re.IGNORECASE)  # but for what a finding says
HERE = re.compile(r"(?<![\w.:/])/(tmp|root|home|work|Users|var|private)/")  # the places that a run leaves traces of

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def example(compiled_once, tmp_path_factory):
    """The run that notebooks share, of a tiny model: the folder."""
    folder = tmp_path_factory.mktemp("example")
    train = demo.train
    with pytest.MonkeyPatch.context() as patch:
        for name, value in FEWER.items():
            patch.setattr(demo, name, value)
        patch.setattr(demo, "train", lambda *args, minutes, **options: train(*args, **options | SMALL))
        demo.example(folder)
    return folder


@pytest.fixture(scope="module")
def client(example, compiled_once, tmp_path_factory):
    """A kernel that runs one notebook after the other: starting, importing and compiling take longer than they do."""
    packages = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    keeping = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1"}  # what one compiled, the next need not
    client = NotebookClient(new_notebook(), timeout=300, kernel_name="python3")
    # It would send the kernel what an output widget holds, and may then not hear that the cell has ended
    # (https://github.com/jupyter/nbclient/issues/312). So the cell itself has the output.
    client.comm_open_handlers.clear()
    environment = compiled_once | keeping | {demo.EXAMPLE: str(example), "PYTHONPATH": packages}
    with client.setup_kernel(env=environment, cwd=str(tmp_path_factory.mktemp("kernel"))):
        yield client


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook) -> list:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def is_error(output) -> bool:
    return output["output_type"] == "error"


def shorten(notebook, name: str) -> None:
    """Fewer drives, layers and updates; the figures are those in the file, which another test looks at."""
    for long, short in SHORTER[name].items():
        assert any(long in cell.source for cell in code_cells(notebook))
        for cell in code_cells(notebook):
            cell.source = cell.source.replace(long, short)


def texts(notebook) -> list[str]:
    """Whatever an output says in words."""
    said = [output.text for output in outputs(notebook) if output.output_type == "stream"]
    return said + [output.data["text/plain"] for output in outputs(notebook) if "text/plain" in output.get("data", {})]


def check_shown(notebook, name: str) -> None:
    """Pictures, figures that are numbers, and no error."""
    shown = [output.data for output in outputs(notebook) if "data" in output]
    pictures = sum("image/png" in data or "data:image/png" in data.get("text/html", "") for data in shown)
    assert pictures >= PICTURES.get(name, 2)
    assert not [text for text in texts(notebook) if NOT_FINITE.search(text)]
    assert not [output for output in outputs(notebook) if is_error(output)]


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


def test_there_is_a_notebook_for_each_question():
    assert [path.stem for path in NOTEBOOKS] == sorted(SHORTER)


def test_the_example_is_made_once_and_opened_with_its_truth(example):
    stamps = {path: path.stat().st_mtime_ns for path in example.rglob("*") if path.is_file()}
    run, held_out = demo.example(example)
    assert {path: path.stat().st_mtime_ns for path in example.rglob("*") if path.is_file()} == stamps
    assert run.unseen(held_out) == [0, 1, 2]
    assert "state" in held_out.episodes[0].truth


@each_notebook
def test_it_runs_and_shows_pictures(path, tmp_path, client):
    client.nb = notebook = nbformat.read(path, as_version=4)
    shorten(notebook, path.stem)
    notebook.cells.insert(0, new_code_cell(f"%reset -f\n%cd -q {tmp_path}"))
    for index, cell in enumerate(notebook.cells):
        client.execute_cell(cell, index)
    check_shown(notebook, path.stem)
    assert {left.name for left in tmp_path.iterdir()} <= {"runs"}


@each_notebook
def test_what_is_kept_of_a_run_is_whole_small_and_tells_nothing_of_the_machine(path):
    notebook = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
    check_shown(notebook, path.stem)
    assert not [output for output in outputs(notebook) if output.get("name") == "stderr"]
    assert not [text for text in texts(notebook) if HERE.search(text)]
    assert path.stat().st_size < BYTES


def test_the_quickstart_ends_with_a_video_and_the_result_as_jupyter_shows_it():
    notebook = nbformat.read(ROOT / "notebooks" / "01_quickstart.ipynb", as_version=4)
    assert any("data:video/" in output.get("data", {}).get("text/html", "") for output in outputs(notebook))
    last = code_cells(notebook)[-1]
    assert last.source.splitlines()[-1] == "result"
    shown = last.outputs[-1].data["text/html"]
    assert "data:image/png" in shown
    assert "accelerometer" in shown


@each_notebook
def test_it_imports_the_method_and_defines_none(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.kernelspec.name == "python3"
    assert not [breach for cell in code_cells(notebook) for breach in breaches(cell.source)]


@each_notebook
def test_it_asks_a_question_answers_it_and_is_short(path):
    notebook = nbformat.read(path, as_version=4)
    first, last = (cell.source for cell in (notebook.cells[0], notebook.cells[-1]))
    assert first.splitlines()[0].endswith("?")
    assert notebook.cells[-1].cell_type == "markdown"
    assert len(last.split()) > 20
    assert sum(bool(line.strip()) for cell in code_cells(notebook) for line in cell.source.splitlines()) < MOST_LINES


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
