"""The main job in small, and the README's lines of Python, as they stand."""

import re
from pathlib import Path

import pytest

from tests.command_line import rollouts_of_one_length, run
from worldmodel import demo as module
from worldmodel.demo import demo
from worldmodel.errors import WorldModelError

README = Path(__file__).parents[1] / "README.md"


# As in the notebooks' tests, which find it compiled; one update, since rollouts of later ones are compiled anew.
SMALL = {"preset": "debug", "context_s": 1.6, "horizon_s": 3.0}


@pytest.fixture(scope="module")
def small(compiled_once):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"EPISODES": 4, "HELD_OUT": 2, "SECONDS": 10.0}.items():
            patch.setattr(module, name, value)
        train, validate = module.train, module.validate
        patch.setattr(module, "train", lambda *logs, **options: train(*logs, **options | SMALL))
        patch.setattr(module, "validate", lambda run, log: validate(run, log=log, max_starts=8))
        yield


@pytest.fixture(scope="module")
def done(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "here"
    return folder, demo(folder, steps=1)


def shortened(code, smaller):
    for long, short in smaller.items():
        assert long in code
        code = code.replace(long, short)
    return code


def stamps(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_all_of_the_road_is_walked(done):
    folder, files = done
    wanted = {"report/report.html", "report/metrics.json", "imagined/trajectory.h5", "imagined/camera.webm"}
    assert wanted <= {str(path.relative_to(folder)) for path in files}
    assert all(path.stat().st_size > 0 for path in files)


def test_a_second_call_simulates_and_trains_nothing_again(done):
    folder, files = done
    kept = stamps(folder / "run")
    logs = [folder / "train.h5", folder / "held_out.h5"]
    before = [log.stat().st_mtime_ns for log in logs]
    assert demo(folder, steps=1) == files
    assert stamps(folder / "run") == kept
    assert [log.stat().st_mtime_ns for log in logs] == before


def test_another_demo_does_not_pass_off_this_ones_results_as_its_own(done, small):
    folder, _ = done
    for options in ({"seed": 1, "steps": 1}, {"steps": 2}):
        with pytest.raises(WorldModelError, match="of another demo"):
            demo(folder, **options)
    ran = run("demo", "--out", str(folder), "--seed", "1")
    assert ran.code == 2
    assert "of another demo" in ran.err


def test_the_command_ends_with_how_the_run_is_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "demo", lambda out, seed: [out / "report"])
    ran = run("demo", "--out", str(tmp_path))
    assert ran.out.splitlines()[-1].endswith(f"worldmodel explore {tmp_path / 'run'} {tmp_path / 'held_out.h5'}")


def test_the_readmes_lines_of_python_run(tmp_path, monkeypatch):
    (code,) = re.findall(r"^## Ten lines\n\n```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    smaller = {
        "minutes=2": 'preset="debug", steps=1, context_s=0.4, horizon_s=0.4',
        "episodes=40": "episodes=4", "episodes=10": "episodes=2",
        'log="held_out.h5"': 'log="held_out.h5", max_starts=20',
    }  # fmt: skip
    quick = shortened(code, smaller)
    monkeypatch.chdir(tmp_path)
    there: dict[str, object] = {}
    # With the span of `command_line.TRAINING`, whose programs are compiled.
    with rollouts_of_one_length():
        exec(quick, there)
    assert (tmp_path / "runs" / "cartpole_report" / "report.html").stat().st_size > 0
    (own,) = re.findall(r"^### Your own predictor.*?```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    smaller = {
        "context_s=1.28, horizon_s=1.28": "context_s=0.4, horizon_s=0.4", "at_s=1.0": "at_s=0.4",
        'log="held_out.h5"': 'log="held_out.h5", max_starts=20',
    }  # fmt: skip
    exec(shortened(own, smaller), there)
    assert there["result"].nrmse("pole", "ridge", at_s=0.4) > 0
