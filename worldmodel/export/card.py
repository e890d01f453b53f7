"""What lies beside an exported network: a card for programs, and the same for people."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.codecs import codec
from worldmodel.export.graphs import Graph
from worldmodel.logs.align import TickLayout
from worldmodel.models.world_model import WorldModel
from worldmodel.training.folder import RunFolder
from worldmodel.training.run import Run
from worldmodel.training.settings import plain_json
from worldmodel.version import __version__

_README = Path(__file__).with_name("readme.md")


def write_card(run: Run, made: dict[str, Graph], folder: Path, **about: Any) -> None:
    """Writes `card.json` and `README.md` for the graphs that were `made`."""
    text = plain_json(card(run, made) | about, indent=1)
    (folder / "card.json").write_text(text + "\n")
    (folder / "README.md").write_text(_readme(json.loads(text)))


def card(run: Run, made: dict[str, Graph]) -> dict[str, Any]:
    """What a program must know to fill the inputs and to understand the outputs."""
    settings, layout, model = run.settings, run.layout, run.model
    assert model is not None
    return {
        "format": "worldmodel-export",
        "version": 1,
        "written_by": f"worldmodel {__version__}",
        "tick_s": settings.dt,
        "phase_s": settings.phase_s,
        "context_ticks": settings.context,
        "family": settings.model.family,
        "parameters": _parameters(model),
        "streams": [_stream(layout, spec) for spec in layout.streams],
        "columns": columns(layout),
        "action_columns": action_columns(layout),
        "world_frames": list(layout.frames.names),
        "followed": [odometer.describe(layout) for odometer in run.odometers],
        "normalisation": {name: np.asarray(x[...]).tolist() for name, x in model.scaling._asdict().items()},
        "spread": np.asarray(model.spread[...]).tolist(),
        "graphs": {name: _signature(graph) for name, graph in made.items()},
        "scores": scores(run),
    }


def columns(layout: TickLayout) -> list[dict[str, Any]]:
    """Of each of the D columns of readings: its stream and feature, and which share of the tick it is of."""
    found: list[dict[str, Any]] = []
    for spec in layout.readings:
        slots = layout.slots(spec)
        for slot in range(slots):
            for feature in range(layout.features(spec)):
                relative = bool(codec(spec).relative[feature])
                found.append(
                    {"stream": spec.name, "feature": feature, "slot": slot, "slots": slots, "relative": relative}
                )
    return found


def action_columns(layout: TickLayout) -> list[dict[str, Any]]:
    """Of each of the A columns of actions: its stream and feature."""
    return [{"stream": s.name, "feature": i} for s in layout.actions for i in range(layout.features(s))]


def scores(run: Run) -> dict[str, Any]:
    """How good the network is: its error on the select episodes, and how much the run's blend trusts it, by stream."""
    found: dict[str, Any] = {"select_nrmse": (RunFolder(run.folder).finished or {}).get("best_nrmse")}
    if run.team is not None and run.team.has_network:
        usual = run.team.blend.usual
        best = usual[:-1].min(0)
        found["error_beside_best_expert"] = {
            name: float(np.sqrt(np.mean(usual[-1][:, c]) / max(np.mean(best[:, c]), 1e-12)))
            for name, c in run.layout.reading_columns.items()
        }
    return found


def _stream(layout: TickLayout, spec: Any) -> dict[str, Any]:
    kept = {"name": spec.name, "kind": spec.kind, "columns": spec.columns, "units": spec.units, "rate_hz": spec.rate_hz}
    kept |= {"frame": spec.frame, "circular": spec.circular, "description": spec.description}
    if spec.kind == "video":
        return kept | {"rows": spec.size[0], "columns_of_pixels": spec.size[1]}
    return kept | {"features": layout.features(spec)}


def _signature(graph: Graph) -> dict[str, Any]:
    import jax

    sides = {"inputs": graph.inputs, "outputs": jax.eval_shape(*graph)}
    return {
        side: {name: {"dtype": np.dtype(x.dtype).name, "shape": list(x.shape)} for name, x in shapes.items()}
        for side, shapes in sides.items()
    }


def _parameters(model: WorldModel) -> int:
    import jax
    from flax import nnx

    return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(nnx.state(model, nnx.Param)))


def _readme(found: dict[str, Any]) -> str:
    streams = [
        f"| {s['name']} | {s['kind']} | {', '.join(s['columns'])} | {', '.join(s['units'])} | {s['rate_hz']:g} |"
        for s in found["streams"]
    ]
    tensors = [
        f"| {graph} | {side} | {name} | {x['dtype']} | {x['shape']} |"
        for graph, both in found["graphs"].items()
        for side, tensors in both.items()
        for name, x in tensors.items()
    ]
    given = {name: found[name] for name in ("written_by", "family", "parameters", "tick_s", "phase_s", "context_ticks")}
    score = found["scores"]["select_nrmse"]
    said = f"{score:.3f}" if score is not None else "not measured"
    return _README.read_text().format(
        **given, members=found["members"], horizon=found["horizon"], score=said, streams="\n".join(streams),
        tensors="\n".join(tensors),
    )  # fmt: skip
