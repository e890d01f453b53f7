"""`import worldmodel as wm`: every verb, whatever was imported before, and nothing heavy until it is used."""

import importlib
import inspect
import pickle
import subprocess
import sys

import pytest

import worldmodel as wm

HEAVY = ("numpy", "jax", "flax", "optax", "orbax", "matplotlib", "mujoco", "h5py", "pandas", "pyarrow", "cv2", "rich")


def said(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_it_loads_nothing_heavy():
    assert said(f"import sys, worldmodel; print([n for n in {HEAVY} if n in sys.modules])") == "[]"


def test_a_log_is_opened_and_recorded_without_jax():
    code = "import sys, worldmodel as wm; wm.Log, wm.ingest, wm.LogWriter; print('jax' in sys.modules)"
    assert said(code) == "False"


@pytest.mark.parametrize("name", [name for name in wm.__all__ if name != "__version__"])
def test_every_name_is_what_its_home_calls_it(name):
    assert name in dir(wm)
    home = importlib.import_module(wm._HOMES[name])
    assert getattr(wm, name) is getattr(home, name)


USE = "print(inspect.isfunction(wm.{0}), wm.{0}.__name__)"
NAMED = "import worldmodel.{0}.{1} as named"
FROM = "from worldmodel.{0} import {1}"
ORDERS = {
    "used": [USE],
    "imported, used": ["import worldmodel.{0}", USE],
    "used, imported, used": ["wm.{0}", "import worldmodel.{0}", USE],
    "a function imported, used": ["from worldmodel.{0} import {0}", "assert {0} is wm.{0}", USE],
    "a module imported, used": ["import worldmodel.{0}.{1}", USE],
    "a module imported by a name, used": [NAMED, USE],
}
WITHIN = {"simulate": "world", "validate": "metrics"}  # a module of each


@pytest.mark.parametrize("verb", ["simulate", "validate"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_verb_is_its_function_and_has_what_is_in_the_sub_package_of_its_name(verb, order):
    lines = ["import inspect, worldmodel as wm", *ORDERS[order], NAMED, FROM, "print(named.__name__, named is {1})"]
    code = "\n".join(lines).replace("{0}", verb).replace("{1}", WITHIN[verb])
    assert said(code).splitlines() == [f"True {verb}", f"worldmodel.{verb}.{WITHIN[verb]} True"]


@pytest.mark.parametrize("verb", ["simulate", "validate"])
def test_such_a_verb_keeps_its_signature_its_text_and_travels_to_other_processes(verb):
    function, home = getattr(wm, verb), importlib.import_module(f"worldmodel.{verb}")
    assert "log" in inspect.signature(function).parameters or "scene" in inspect.signature(function).parameters
    assert function.__doc__ != home.__doc__
    assert pickle.loads(pickle.dumps(function)) is function


def test_a_name_that_is_not_there_is_said_so():
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        wm.fly  # noqa: B018
