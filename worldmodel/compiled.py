"""Compiled programs: kept on disk, so that a new process does not compile what an earlier one has; where they run; and
those of numbers of which most stay.
"""

import contextlib
import functools
import hashlib
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

SWITCH = "WORLDMODEL_CACHE"
_ON_THE_WAY = ("broadcast_in_dim", "reshape", "transpose")  # what a program does without taking time for it
_MOST_BYTES = 512 << 20  # the least recently used go first; a program of the presets takes 0.1 to 3 MB


@functools.cache
def keep_compiled() -> Path | None:
    """Sets up JAX's persistent compilation cache in the user's cache folder, once a process.

    What was used least recently goes now, if there is too much: JAX's own bound reads the whole folder again with every
    program that it adds, a second each where there are thousands.

    `WORLDMODEL_CACHE=off` switches it off. A folder that JAX was given already (`JAX_COMPILATION_CACHE_DIR`) stays.

    Returns:
        The folder, or None where this function has set none.
    """
    import jax

    if os.environ.get(SWITCH, "").lower() == "off" or jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
        return None
    folder = _cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _prune(folder)
    except OSError:  # a home that cannot be written: everything works, only later
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # a hundred small ones take seconds too
    return folder


def jit_on_processor(function: Callable, **options: Any) -> Callable:
    """`jax.jit` of a program that runs on the processor, whatever accelerator there is besides.

    For one of many small steps, which leave an accelerator idle, and one whose single precision counts: by default a
    GPU rounds what it multiplies to ten bits.
    """
    import jax

    program = jax.jit(function, **options)

    @functools.wraps(function)
    def on_processor(*arguments: Any) -> Any:
        with _processor_of_jax():
            return program(*arguments)

    return on_processor


def _processor_of_jax() -> contextlib.AbstractContextManager:
    import jax

    try:
        return jax.default_device(jax.local_devices(backend="cpu")[0])
    except RuntimeError:  # JAX_PLATFORMS leaves it out
        return contextlib.nullcontext()


class Staged:
    """A compiled function `f(stays, *changes)`, of which what follows from the numbers that stay is computed once.

    For each shape of those that change a program is traced and compiled, as by `jax.jit`. It is given what it needs of
    the numbers that stay, say slices of them, which to take with each call costs as much as a product of small
    matrices. Broadcasts, which a program does on the way, are left in it.

    Args:
        function: of trees of arrays.
        stays: the tree that stays.
        one_by_one: operations follow one another in one thread. In a program of hundreds that take microseconds each,
            to hand them from thread to thread takes longer; and another thread is left to others. An accelerator has
            no such threads.
    """

    def __init__(self, function: Callable, stays: Any, *, one_by_one: bool = False) -> None:
        self._function, self._stays, self._one_by_one = function, stays, one_by_one
        self._made: dict[Any, tuple[Callable, list]] = {}

    def __call__(self, *changes: Any) -> Any:
        import jax

        leaves, tree = jax.tree.flatten(changes)
        key = tree, tuple((x.shape, x.dtype) for x in leaves)
        if key not in self._made:
            self._made[key] = self._make(*changes)
        program, given = self._made[key]
        return program(given, leaves)

    def _make(self, *changes: Any) -> tuple[Callable, list]:
        """The program `g(given, leaves of what changes)`, and what it is given."""
        import jax
        from jax.extend import core

        closed, shape = jax.make_jaxpr(self._function, return_shape=True)(self._stays, *changes)
        whole, stays = closed.jaxpr, jax.tree.leaves(self._stays)
        own, asked = whole.invars[: len(stays)], whole.invars[len(stays) :]

        def inputs(step: core.JaxprEqn) -> set[core.Var]:
            return {x for x in step.invars if isinstance(x, core.Var)}

        told, free, before, after = {*own}, {*whole.constvars}, [], []
        for step in whole.eqns:
            if step.effects or not inputs(step) <= told | free:
                after.append(step)
            else:
                before.append(step)
                (told if inputs(step) & told else free).update(step.outvars)
        needed = {x for x in whole.outvars if isinstance(x, core.Var)}.union(*map(inputs, after))
        for step in reversed(before):
            if needed & {*step.outvars} and (step.primitive.name in _ON_THE_WAY or free >= {*step.outvars}):
                after.insert(0, step)
                needed = needed - {*step.outvars} | inputs(step)
        given = [x for x in (*own, *(x for step in before for x in step.outvars)) if x in needed]

        def part(invars: list, steps: list, outvars: list) -> Callable:
            own_steps = whole.replace(invars=invars, eqns=steps, outvars=outvars)
            return core.jaxpr_as_fun(core.ClosedJaxpr(own_steps, closed.consts))

        rest, tree = part([*given, *asked], after, whole.outvars), jax.tree.structure(shape)
        options = {}
        if self._one_by_one and jax.default_backend() == "cpu":
            options["xla_cpu_scheduler_type"] = "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"
        program = jax.jit(lambda x, leaves: jax.tree.unflatten(tree, rest(*x, *leaves)), compiler_options=options)
        return program, jax.jit(part(own, before, given))(*stays)


def _prune(folder: Path, most: int = _MOST_BYTES) -> None:
    """Removes the files that were used least recently, until what is left has no more bytes than `most`."""
    with os.scandir(folder) as entries:
        files = [(entry.stat(), entry.path) for entry in entries if entry.is_file()]
    kept = 0
    for stat, path in sorted(files, key=lambda file: -max(file[0].st_atime, file[0].st_mtime)):
        kept += stat.st_size
        if kept > most:
            Path(path).unlink(missing_ok=True)


def _cache_folder() -> Path:
    """Where programs for this kind of processor are kept: one home may be shared by machines of several kinds."""
    import platformdirs

    return platformdirs.user_cache_path("worldmodel") / "compiled" / _processor()


def _processor() -> str:
    """A short name for what the processor can do: JAX's own key does not hold it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        able = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        able = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(able.encode()).hexdigest()[:8]}"
