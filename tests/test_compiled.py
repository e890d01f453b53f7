"""Compiled programs are kept on disk, unless that is switched off or set otherwise."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from worldmodel.compiled import Staged, _prune, jit_on_processor

PROGRAM = """
import jax
import numpy as np
import pytest
from worldmodel.compiled import keep_compiled
folder = keep_compiled()
jax.jit(lambda x: x * 3 + 1)(2.0)
print(folder, jax.config.values["jax_compilation_cache_dir"])
"""

# What jax 0.10.2 gets wrong on a CPU: the last of so many rows (jax issue 39103).
SMALL_PRODUCTS = """
import jax, jax.numpy as jnp
rows = jnp.zeros((32_769, 3)).at[:, 0].set(jnp.arange(32_769))
squared = lambda rows: jax.vmap(lambda row: jnp.sum((jnp.eye(3) @ row) ** 2))(rows)
print(int(squared(rows)[-1]), int(jax.jit(squared)(rows)[-1]))
"""


def ran(tmp_path, program=PROGRAM, **environment) -> subprocess.CompletedProcess:
    own = ("WORLDMODEL_CACHE", "JAX_COMPILATION_CACHE_DIR", "TF_CPP_MIN_LOG_LEVEL")
    env = {k: v for k, v in os.environ.items() if k not in own}
    env |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), **environment}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)


def said(tmp_path, program=PROGRAM, **environment) -> list[str]:
    return ran(tmp_path, program, **environment).stdout.split()


def test_programs_are_read_again_without_a_word(tmp_path):
    program = PROGRAM.replace("import jax", "from worldmodel import version; import jax", 1)
    assert [ran(tmp_path, program).stderr for _ in range(2)] == ["", ""]


def test_programs_are_kept_in_the_users_cache_folder(tmp_path):
    folder, used = said(tmp_path)
    assert folder == used
    assert folder.startswith(str(tmp_path / "cache" / "worldmodel"))
    kept = {path.name for path in (tmp_path / "cache").rglob("*-cache")}
    assert any("lambda" in name for name in kept)
    said(tmp_path)
    assert {path.name for path in (tmp_path / "cache").rglob("*-cache")} == kept


def test_what_was_used_least_recently_goes_where_there_is_too_much(tmp_path):
    for age, name in enumerate(["new", "used", "old", "older"]):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    os.utime(tmp_path / "used", (2000, 0))  # read since
    _prune(tmp_path, 250)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "used"}
    _prune(tmp_path, 250)
    assert len(list(tmp_path.iterdir())) == 2


def test_it_can_be_switched_off(tmp_path):
    assert said(tmp_path, WORLDMODEL_CACHE="off")[0] == "None"
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_jax_was_given_is_left_alone(tmp_path):
    folder, used = said(tmp_path, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "own"))
    assert (folder, used) == ("None", str(tmp_path / "own"))
    assert not (tmp_path / "cache").exists()


def test_a_home_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "cache").write_text("a file, where there should be a folder")
    assert said(tmp_path)[0] == "None"


def test_experts_roll_out_on_the_processor_whatever_the_default_device_is(tmp_path):
    program = """
import jax
import numpy as np
import pytest
import numpy as np
from worldmodel.models.experts.state_space.cell import Shape
from worldmodel.models.experts.state_space.rollouts import derived, simulated

first, other = jax.devices()
asked = Shape(1, 1, 1), np.ones(8), np.ones(2), np.zeros((2, 1)), np.zeros((3, 1, 1))
with jax.default_device(other):
    print(jax.jit(abs)(1.0).devices() == {other})
    print(*(array.devices() == {first} for array in (simulated(*asked), *derived(*asked))))
"""
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    assert said(tmp_path, program, WORLDMODEL_CACHE="off", **flags) == ["True"] * 4


def test_they_roll_out_where_jax_was_given_no_processor(monkeypatch):
    def no_such_backend(**_):
        raise RuntimeError("Unknown backend cpu")

    monkeypatch.setattr(jax, "local_devices", no_such_backend)
    assert jit_on_processor(lambda times, x: times * x, static_argnums=0)(2, 3.0) == 6


def test_compiled_products_of_many_rows_are_right(tmp_path):
    assert said(tmp_path, SMALL_PRODUCTS, XLA_FLAGS="", JAX_PLATFORMS="cpu") == [str(32_768**2)] * 2


def told_once(stays, x, y):
    scale, parts = stays
    told = jax.numpy.where(scale > 0, jax.numpy.sqrt(abs(scale)), 0)[:2]  # with a function within a function
    swung, _ = jax.lax.scan(lambda at, one: (at * one, at), x, parts["weights"])
    return {"sum": told @ x + y, "swung": swung, "told": told, "asked": y}


@pytest.mark.parametrize("one_by_one", [False, True])
def test_what_follows_from_numbers_that_stay_is_computed_once(one_by_one):
    rng, counted = np.random.default_rng(0), []
    stays = jax.numpy.array(rng.normal(size=4)), {"weights": jax.numpy.array(rng.normal(size=(3, 2)))}

    def function(stays, x, y):
        counted.append(1)
        count = jax.pure_callback(lambda scale: (counted.append(2), scale)[1], stays[0], stays[0])
        return told_once((stays[0] + 0 * count, stays[1]), x, y)

    program = Staged(function, stays, one_by_one=one_by_one)
    for _ in range(3):
        x, y = rng.normal(size=2).astype(np.float32), rng.normal(size=()).astype(np.float32)
        got, wanted = program(x, y), jax.jit(told_once)(stays, x, y)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, wanted)
    assert counted == [1, 2]  # traced, and computed


def test_programs_of_numbers_that_stay_are_made_for_each_shape_and_kind():
    traced = []
    program = Staged(lambda stays, x: (traced.append(x.dtype), x[: len(stays)] * stays)[1], jax.numpy.arange(2.0))
    for x in (np.ones(3, np.float32), np.ones(3, np.float32), np.ones(5, np.float32), np.ones(3, np.int32)):
        np.testing.assert_array_equal(program(x), [0, 1])
    assert len(traced) == 3


def test_what_is_done_beside_an_answer_is_done_with_each():
    """Such as a print: it follows from nothing, but has to happen."""
    seen = []
    program = Staged(lambda stays, x: (jax.debug.callback(seen.append, stays), x)[1], jax.numpy.ones(()))
    for _ in range(2):
        jax.block_until_ready(program(np.zeros(1, np.float32)))
    jax.effects_barrier()
    assert len(seen) == 2
