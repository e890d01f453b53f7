"""`import worldmodel as wm`: every verb, whatever was imported before, and nothing heavy until it is used."""

import importlib
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
    assert getattr(wm, name) is getattr(home, {"load": "load_run"}.get(name, name))


USE = "print(inspect.isfunction(wm.{0}), wm.{0}.__name__)"
ORDERS = {
    "used": [USE],
    "imported, used": ["import worldmodel.{0}", USE],
    "used, imported, used": ["wm.{0}", "import worldmodel.{0}", USE],
    "a function imported, used": ["from worldmodel.{0} import {0}", "assert {0} is wm.{0}", USE],
    "a module imported, used": ["import worldmodel.{0}.{1}", USE],
}
WITHIN = {"simulate": "world", "validate": "metrics"}  # a module of each


@pytest.mark.parametrize("verb", ["simulate", "validate"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_verb_is_its_function_though_a_sub_package_has_its_name(verb, order):
    lines = ["import inspect, worldmodel as wm", *ORDERS[order]]
    code = "\n".join(lines).replace("{0}", verb).replace("{1}", WITHIN[verb])
    assert said(code) == f"True {verb}"


def test_what_else_is_in_such_a_sub_package_is_imported_from_it():
    assert said("from worldmodel.validate import metrics; print(metrics.__name__)") == "worldmodel.validate.metrics"


def test_a_name_that_is_not_there_is_said_so():
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        wm.fly  # noqa: B018
