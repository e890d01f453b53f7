"""Bad input at the command line: a message that says what to do, exit code 2, no traceback, nothing left behind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from tests.bad_input import (
    BROKEN_LOGS,
    CASES,
    FILES,
    NOW,
    ON_A_FULL_DISK,
    READERS,
    edited,
    keep_one_empty_episode,
    shorten,
)
from tests.command_line import run
from tests.oscillator import write_log
from tests.simulate.scenes import PUCK_TOML, PUCK_XML, write_scene


class Places(NamedTuple):
    """Folders that words of a command stand for."""

    inputs: Path
    words: dict[str, Path]


@pytest.fixture(scope="module")
def places(trained, tmp_path_factory):
    inputs = tmp_path_factory.mktemp("in")
    for name, text in FILES.items():
        (inputs / name).write_text(text)
    film = cv2.VideoWriter(str(inputs / "plain.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (32, 32))
    for grey in range(20):
        film.write(np.full((32, 32, 3), grey, np.uint8))
    film.release()
    write_scene(inputs / "scene_syntax", "format = [")
    write_scene(inputs / "scene_misspelt", PUCK_TOML.replace("smooth_s", "smoth_s"))
    write_scene(inputs / "scene_mjcf", xml=PUCK_XML.replace("</mujoco>", ""))
    write_scene(inputs / "scene_unstable", xml=PUCK_XML.replace('gainprm="1"', 'gainprm="1e14"'))
    write_scene(inputs / "scene_step", xml=PUCK_XML.replace('timestep="0.005"', 'timestep="0"'))
    (write_scene(inputs / "scene_without") / "model.xml").unlink()
    different = write_log(tmp_path_factory.mktemp("different") / "a.h5", episodes=2, seconds=2.0)
    return Places(
        inputs, {"GOOD": trained.log, "OTHER": trained.other, "RUN": trained.run, "DIFFERENT": different, "IN": inputs}
    )


def filled_in(words, places: Places, **more: Path) -> list[str]:
    """Puts paths for the capitals that a word begins with."""
    paths = {**places.words, **more}

    def path(word: str) -> str:
        first, slash, rest = word.partition("/")
        return f"{paths[first]}{slash}{rest}" if first in paths else word

    return [path(str(word)) for word in words]


def content(*folders: Path) -> dict[Path, bytes | None]:
    """Every file and folder below, with what files hold."""
    found = [path for folder in folders for path in folder.rglob("*")]
    return {path: path.read_bytes() if path.is_file() else None for path in found}


def refuse(words, says, places, tmp_path, monkeypatch, **more):
    """Runs a command that must be refused, in an empty folder."""
    (tmp_path / "here").mkdir()
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    watched = (tmp_path, places.inputs, *(path for path in places.words.values()), places.words["GOOD"].parent)
    before = content(*watched)
    ran = run(*filled_in(words, places, OUT=tmp_path / "out", **more))
    assert ran.code == 2, ran.out + ran.err
    assert "Traceback" not in ran.out + ran.err
    for word in says:
        assert word in ran.err
    after = content(*watched)
    assert after.keys() == before.keys(), "something was left behind, or taken away"
    assert after == before


@pytest.mark.parametrize("case", CASES)
def test_refused(case, places, tmp_path, monkeypatch):
    refuse(*CASES[case], places, tmp_path, monkeypatch)


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("fault", BROKEN_LOGS)
def test_a_broken_log_is_refused(command, fault, trained, places, tmp_path, monkeypatch):
    breaks, says = BROKEN_LOGS[fault]
    broken = tmp_path / "broken.h5"
    shutil.copy(trained.log, broken)
    breaks(broken)
    says = ("broken.h5", *says) if fault != "no_episode" else says
    refuse(READERS[command], says, places, tmp_path, monkeypatch, LOG=broken)


@pytest.mark.parametrize("command", ["train", "imagine", "validate"])
@pytest.mark.parametrize("change", [keep_one_empty_episode, shorten])
def test_an_episode_that_is_empty_or_too_short_is_refused(command, change, trained, places, tmp_path, monkeypatch):
    short = tmp_path / "short.h5"
    shutil.copy(trained.log, short)
    edited(change)(short)
    says = {"imagine": "is no moment to imagine from"}.get(command, "as long as the context plus the horizon")
    if (command, change) == ("validate", keep_one_empty_episode):
        says = "has seen every episode"  # its own log has such a one
    refuse(READERS[command], [says, "expected:", "found:", "do:"], places, tmp_path, monkeypatch, LOG=short)


def test_a_run_without_a_checkpoint_says_how_to_go_on(trained, places, tmp_path, monkeypatch):
    shutil.copytree(trained.run, tmp_path / "half")
    (tmp_path / "half" / "parameters.npz").unlink()
    words = ("imagine", "HALF", "GOOD", *NOW, "--out", "OUT/x")
    refuse(words, ["no checkpoint yet", "--resume"], places, tmp_path, monkeypatch, HALF=tmp_path / "half")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = {
    "run.json": (("run.json", lambda path: path.write_text("null")), "run.json cannot be read"),
    "context": (
        ("run.json", lambda path: path.write_text(path.read_text().replace('"context": ', '"context": -'))),
        "context has no sense",
    ),
    "statistics": (("statistics.npz", cut_short), "statistics.npz cannot be read"),
    "baselines": (("baselines.npz", lambda path: path.write_text("junk")), "baselines.npz cannot be read"),
    "no baselines": (("baselines.npz", Path.unlink), "baselines.npz cannot be read"),
    "spread": (("spread.npy", cut_short), "spread.npy cannot be read"),
    "parameters": (("parameters.npz", cut_short), "parameters.npz cannot be read"),
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_damaged_run_is_named(fault, trained, places, tmp_path, monkeypatch):
    (name, damage), says = DAMAGE[fault]
    shutil.copytree(trained.run, tmp_path / "damaged")
    damage(tmp_path / "damaged" / name)
    words = ("imagine", "DAMAGED", "GOOD", *NOW, "--out", "OUT/x")
    refuse(words, [says, "do:"], places, tmp_path, monkeypatch, DAMAGED=tmp_path / "damaged")


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # or the process ends where a real full disk is an error
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from worldmodel.cli import main
main()
"""


@pytest.mark.parametrize("command", ON_A_FULL_DISK)
def test_a_full_disk_is_named_and_nothing_is_left(command, places, compiled_once, imagined, validated, tmp_path):
    """What the commands compile is there already, from when they ended well."""
    limit, words = ON_A_FULL_DISK[command]
    (tmp_path / "out").mkdir()
    command_line = [sys.executable, "-c", FULL, str(limit), *filled_in(words, places, OUT=tmp_path / "out")]
    env = compiled_once | {"PYTHONPATH": os.pathsep.join(sys.path)}
    env["PYTHONDONTWRITEBYTECODE"] = "1"  # Python would leave modules that it could write a part of
    ran = subprocess.run(command_line, capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "the disk is full" in ran.stderr
    assert "do:" in ran.stderr
    assert content(tmp_path) == {tmp_path / "out": None}


@pytest.mark.parametrize("words", [("inspect", "IN/table.csv"), ("simulate", "nowhere", "--out", "OUT/a.h5")])
def test_as_a_process_of_its_own(words, places, tmp_path):
    command_line = [sys.executable, "-m", "worldmodel.cli", *filled_in(words, places, OUT=tmp_path)]
    ran = subprocess.run(command_line, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ")
    assert "do:" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""
    assert list(tmp_path.iterdir()) == []
