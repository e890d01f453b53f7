"""Rolls futures.stablehlo on example.npz: needs jax and flatbuffers, and nothing of the toolkit that wrote it."""

from pathlib import Path

import numpy as np
from jax import export

folder = Path(__file__).resolve().parent
futures = export.deserialize(bytearray((folder / "futures.stablehlo").read_bytes()))
example = np.load(folder / "example.npz")
inputs = {name.split("/")[-1]: example[name] for name in example if name.startswith("futures/in/")}
outputs = futures.call(inputs)
for name, value in outputs.items():
    apart = np.abs(np.asarray(value, float) - example[f"futures/out/{name}"]).max()
    print(f"{name} {list(value.shape)}: within {apart:.1e} of what was exported")
