"""The wheel: built, installed into a fresh environment, and used there, away from this repository and within it."""

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTENT = ("datasets", "sim")
FIND_CONTENT = """
import worldmodel
from worldmodel.content import content_dir
from worldmodel.logs.ingest import load_recipe
print(worldmodel.__file__, load_recipe("double_pendulum").path, *content_dir("sim").glob("*/*.toml"), sep="\\n")
"""
USE_DATASETS = """
import worldmodel
import datasets
doubled = datasets.Dataset.from_dict({"x": [1, 2, 3]}).map(lambda row: {"y": 2 * row["x"]})
print(doubled["y"][:], datasets.__version__, datasets.__file__, sep="\\n")
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Runs a command outside this process's own Python settings; returns what it printed."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    process = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True)
    assert process.returncode == 0, f"{command} in {cwd}:\n{process.stdout}\n{process.stderr}"
    return process.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """A fresh virtual environment with the wheel.

    It borrows what the wheel depends on, and Hugging Face's `datasets`, from this one, whose packages come after its
    own in the search path, and whose .pth files (such as an editable install's) are not read.
    """
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    borrowed = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    (site_packages(folder) / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    return folder


def site_packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/python*/site-packages")
    return found


def test_the_wheel_carries_one_package_and_the_content(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == {"worldmodel"}
        assert len({n.split("/")[0] for n in names}) == 2
        carried = {n.removeprefix("worldmodel/_content/"): n for n in names if n.startswith("worldmodel/_content/")}
        ours = {f.relative_to(ROOT).as_posix(): f for c in CONTENT for f in (ROOT / c).rglob("*") if f.is_file()}
        assert carried.keys() == ours.keys()
        assert all(archive.read(carried[name]) == file.read_bytes() for name, file in ours.items())


def test_the_wheel_says_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
        assert (metadata["Name"], metadata["License-Expression"]) == ("worldmodel-toolkit", "Apache-2.0")
        licence = archive.read(name.replace("METADATA", "licenses/LICENSE")).decode()
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence


def test_the_installed_command_answers_elsewhere(environment, tmp_path):
    said = run(environment / "bin" / "worldmodel", "--help", cwd=tmp_path)
    for command in ("simulate", "ingest", "inspect", "train", "imagine", "validate", "demo"):
        assert command in said


def test_the_installed_package_finds_its_scenes_and_recipes(environment, tmp_path):
    said = run(environment / "bin" / "python", "-c", FIND_CONTENT, cwd=tmp_path)
    package, recipe, *scenes = map(Path, said.splitlines())
    installed = site_packages(environment) / "worldmodel"
    assert package == installed / "__init__.py"
    assert recipe == installed / "_content" / "datasets" / "double_pendulum.toml"
    assert {scene.parent.name for scene in scenes} >= {"rover", "cartpole", "double_pendulum"}
    assert all(scene.is_relative_to(installed / "_content" / "sim") for scene in scenes)


@pytest.mark.parametrize("within_the_repository", [False, True])
def test_hugging_face_datasets_is_left_working(environment, tmp_path, within_the_repository):
    where = ROOT if within_the_repository else tmp_path
    said = run(environment / "bin" / "python", "-c", USE_DATASETS, cwd=where).splitlines()
    theirs = Path(sysconfig.get_path("purelib")) / "datasets" / "__init__.py"
    assert said == ["[2, 4, 6]", importlib.metadata.version("datasets"), str(theirs)]
