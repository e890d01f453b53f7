"""Runs the command line within this process, and what it makes of a small recording, once for all tests."""

import contextlib
import dataclasses
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from filelock import FileLock

from worldmodel import cli

# Ticks of 0.02 s: small windows compile quickly.
TRAINING = ("--preset", "debug", "--steps", "1", "--context", "0.4", "--horizon", "0.4")


class Ran(NamedTuple):
    """How a command ended: its exit code and what it printed."""

    code: int
    out: str
    err: str


def run(*words: object) -> Ran:
    """Runs `worldmodel WORDS...` here. An exception that would be a traceback for the user is one for the test."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["worldmodel", *map(str, words)])
        patch.setenv("COLUMNS", "200")  # or rich breaks paths into lines
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Ran(code, out.getvalue(), err.getvalue())


def done(*words: object) -> Ran:
    """Runs a command that must end well."""
    ran = run(*words)
    assert ran.code == 0, ran.err
    return ran


class Trained(NamedTuple):
    """A spoilt log of the cart-pole, a whole one of other worlds, and a run on the first."""

    folder: Path
    log: Path
    other: Path
    run: Path
    said: dict[str, Ran]


class Written(NamedTuple):
    """Folders that a command wrote, and what it printed, by how it was called."""

    folders: dict[str, Path]
    said: dict[str, Ran]


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory):
    """Keeps what XLA compiles, for all tests and for commands in processes of their own: an environment that reads."""
    import jax
    from jax.experimental.compilation_cache.compilation_cache import reset_cache

    options = {
        "jax_compilation_cache_dir": str(shared(tmp_path_factory) / "compiled"),
        "jax_compilation_cache_max_size": 2**32,  # with a limit, a file is read and written under a lock
        "jax_persistent_cache_min_compile_time_secs": 0.1,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in options}
    for name, value in options.items():
        jax.config.update(name, value)
    reset_cache()
    reading = options | {"jax_persistent_cache_min_compile_time_secs": 1e9}
    yield os.environ | {name.upper(): str(value) for name, value in reading.items()}
    for name, value in before.items():
        jax.config.update(name, value)
    reset_cache()


@contextlib.contextmanager
def rollouts_of_one_length() -> Iterator[None]:
    """The preset `debug` begins with the whole horizon: for each length of rollouts a program has to be compiled."""
    from worldmodel.training.config import PRESETS

    with pytest.MonkeyPatch.context() as patch:
        for family, (model, config) in PRESETS["debug"].items():
            whole = dataclasses.replace(config, curriculum=((0.0, 1.0),))
            patch.setitem(PRESETS["debug"], family, (model, whole))
        yield


def shared(tmp_path_factory) -> Path:
    """A folder that all processes of pytest see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(folder: Path, make: Callable[[], dict[str, Ran]]) -> dict[str, Ran]:
    """What commands say that `make` runs to fill a folder; one process of pytest runs them, and others wait."""
    with FileLock(f"{folder}.lock"):
        said = folder / "said.json"
        if not said.exists():
            folder.mkdir(exist_ok=True)
            said.write_text(json.dumps(make()))
        return {name: Ran(*ran) for name, ran in json.loads(said.read_text()).items()}


@pytest.fixture(scope="session")
def trained(compiled_once, tmp_path_factory) -> Trained:
    """Made by the command line from six episodes of 4 s, which are spoilt before anything trains on them."""
    folder = shared(tmp_path_factory) / "road"
    log, other, trained_run = folder / "log.h5", folder / "other.h5", folder / "run"

    def make() -> dict[str, Ran]:
        said = {
            "simulate": done("simulate", "cartpole", "--episodes", 6, "--seconds", 4, "--seed", 1, "--out", log),
            "other": done("simulate", "cartpole", "--episodes", 2, "--seconds", 4, "--seed", 2, "--out", other),
        }
        spoil(log)
        with rollouts_of_one_length():
            return said | {"train": done("train", log, "--out", trained_run, *TRAINING)}

    return Trained(folder, log, other, trained_run, made_once(folder, make))


def spoil(log: Path) -> None:
    """Puts 10 NaN and 4 infinities into the cart's readings, and an empty seventh episode at the end."""
    with h5py.File(log, "r+") as file:
        data = file["streams/cart/data"]
        data[5:15, 0] = np.nan
        data[300:303, 1] = np.inf
        data[310, 1] = -np.inf
        for name, value in (("name", "empty"), ("origin_utc", math.nan), ("duration", 0.0)):
            file["episodes"][name].resize(7, axis=0)
            file["episodes"][name][6] = value
        for section in ("streams", "truth"):
            for stream in file[section].values():
                stream["offsets"].resize(8, axis=0)
                stream["offsets"][7] = stream["offsets"][6]


@pytest.fixture(scope="session")
def imagined(trained, tmp_path_factory) -> Written:
    """Under the log's own actions, under a CSV of a force that begins after a tenth of a second, and from NaN."""
    words = ("imagine", trained.run, trained.other, "--episode", 1, "--at", 2.0, "--members", 5, "--seed", 3)
    early = ("--episode", 0, "--at", 0.4, "--members", 5)
    root = shared(tmp_path_factory) / "imagined"
    folders = {name: root / name for name in ("logged", "csv", "spoilt")}

    def make() -> dict[str, Ran]:
        csv = root / "push.csv"
        csv.write_text("time,force\n0.1,8\n")
        return {
            "logged": done(*words, "--out", folders["logged"]),
            "csv": done(*words, "--out", folders["csv"], "--actions", csv),
            "spoilt": done("imagine", trained.run, trained.log, *early, "--out", folders["spoilt"]),
        }

    return Written(folders, made_once(root, make))


@pytest.fixture(scope="session")
def validated(trained, tmp_path_factory) -> Written:
    """On a log and on the scene."""
    root = shared(tmp_path_factory) / "validated"
    folders = {name: root / name for name in ("log", "scene")}

    def make() -> dict[str, Ran]:
        return {
            "log": done("validate", trained.run, "--log", trained.other, "--out", folders["log"]),
            "scene": done("validate", trained.run, "--scene", "cartpole", "--out", folders["scene"]),
        }

    return Written(folders, made_once(root, make))
