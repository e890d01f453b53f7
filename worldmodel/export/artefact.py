"""What `worldmodel export` writes: the network for programs that have not this package."""

import dataclasses
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from worldmodel.errors import WorldModelError
from worldmodel.export.card import write_card
from worldmodel.export.graphs import Arrays, Graph, futures, graphs
from worldmodel.export.made_up import made_up
from worldmodel.export.onnx_graph import OPSET, convert
from worldmodel.files import whole_folder
from worldmodel.imagine.session import check_members
from worldmodel.models.world_model import WorldModel
from worldmodel.training.run import Run, build_model, load_run

FILES = (
    "card.json", "README.md", "load.py", "example.npz", "futures.stablehlo", "observe.onnx", "step.onnx", "draw_*.onnx",
)  # fmt: skip
_LARGEST_ERROR = 1e-5  # of ONNX Runtime beside JAX, relative where values are above 1


def export_run(
    run: Run | Path | str,
    out: Path | str,
    *,
    members: int = 16,
    horizon_s: float | None = None,
    onnx: bool = True,
    force: bool = False,
) -> list[Path]:
    """Writes the folder `out`: StableHLO, ONNX, an example of each, a loader, and a card that says what they are.

    Args:
        run: the run, or where it is.
        out: the folder to make.
        members: futures that the programs roll at once; shapes are fixed.
        horizon_s: how far `futures` rolls; by default as far as the run was trained. `step` has no horizon.
        onnx: write `observe`, `step` and a `draw` for each video as ONNX too, checked with ONNX Runtime.
        force: replace an earlier export.

    Returns:
        The files.

    Raises:
        WorldModelError: if the run has no network, a package is missing, or ONNX Runtime gives other values than JAX.
    """
    _check_packages(*(("onnx", "onnxruntime") if onnx else ()))
    opened = run if isinstance(run, Run) else load_run(run)
    check_members(members)
    horizon, model = opened.horizon_ticks(horizon_s), exported_model(opened)
    with whole_folder(out, force, inputs=[opened.folder], replaces=FILES) as folder:
        shutil.copy(Path(__file__).with_name("loader.py"), folder / "load.py")
        whole = futures(model, members, horizon)
        made: dict[str, Graph] = {"futures": whole, **(graphs(model, members) if onnx else {})}
        inputs = {name: made_up(model, graph.inputs) for name, graph in made.items()}
        exported = jax.export.export(jax.jit(whole.function), platforms=("cpu", "cuda", "tpu"))(whole.inputs)
        (folder / "futures.stablehlo").write_bytes(exported.serialize())
        outputs = {name: jax.device_get(jax.jit(graph.function)(inputs[name])) for name, graph in made.items()}
        errors = {}
        for name in made.keys() - {"futures"}:
            path = folder / f"{name}.onnx"
            path.write_bytes(convert(made[name], name).SerializeToString())
            errors[name] = check_onnx(path, inputs[name], outputs[name])
        np.savez_compressed(folder / "example.npz", **_flat("in", inputs), **_flat("out", outputs))
        about = {"onnx_opset": OPSET, "largest_error_of_onnx": errors} if onnx else {}
        write_card(opened, made, folder, members=members, horizon=horizon, **about)
    return sorted(Path(out).iterdir())


def _check_packages(*names: str) -> None:
    """Those that are named, and what jax writes StableHLO with."""
    if missing := [name for name in ("flatbuffers", *names) if find_spec(name) is None]:
        remedy = "pip install 'worldmodel-toolkit[export]'"
        remedy += "" if "flatbuffers" in missing else ", or pass --no-onnx (onnx=False)"
        raise WorldModelError("An export needs more packages.", found=f"no {', '.join(missing)}", remedy=remedy)


def exported_model(run: Run) -> WorldModel:
    """The run's network, in float32 whatever it was trained in.

    Raises:
        WorldModelError: if it has none.
    """
    if run.model is None:
        raise WorldModelError(
            f"The run {run.folder} has no network, and a network is what is exported.",
            expected="a run with a network among its experts",
            found=f"experts only: {', '.join(run.team.names) if run.team else 'none'}",
            remedy=f"{run.network_remedy}; or let `worldmodel serve` answer for all its experts",
        )
    config = dataclasses.replace(run.settings.model, dtype="float32")  # type: ignore[type-var]
    settings = dataclasses.replace(run.settings, model=config)
    model = run.model
    plain = nnx.eval_shape(lambda: build_model(settings, model.scaling))
    plain.spread, plain.film = nnx.Variable(model.spread[...]), model.film.recalling()
    return nnx.merge(nnx.split(plain)[0], nnx.state(model))


def check_onnx(path: Path, inputs: Arrays, expected: Arrays) -> float:
    """The largest error of ONNX Runtime, relative to 1 or to the output's largest value.

    Raises:
        WorldModelError: if it is above 1e-5.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = dict(zip((x.name for x in session.get_outputs()), session.run(None, dict(inputs)), strict=True))
    largest = max(_error(found[name], expected[name]) for name in expected)
    if not largest <= _LARGEST_ERROR:
        problem = f"ONNX Runtime gives other values of {path.name} than the model."
        raise WorldModelError(problem, expected=f"an error of at most {_LARGEST_ERROR:g}", found=f"{largest:g}")
    return largest


def _error(found: np.ndarray, expected: np.ndarray) -> float:
    if expected.dtype == np.uint8:  # a value of a pixel may round the other way
        return 0.0 if np.abs(found.astype(int) - expected).max() <= 1 else float("inf")
    return float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))


def _flat(side: str, arrays: dict[str, Arrays]) -> dict[str, Any]:
    return {f"{graph}/{side}/{name}": value for graph, each in arrays.items() for name, value in each.items()}
