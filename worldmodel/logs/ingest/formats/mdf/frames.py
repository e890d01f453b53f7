"""Raw frames of buses in an MDF file (ASAM's bus logging), as loggers write them: those of CAN, for a DBC to decode."""

import re
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

_FRAMES = re.compile(r"((?:CAN|LIN|FLX|MOST|ETH|K|USB)_[A-Za-z]*Frame)\.")  # and a part of it, such as its ID
_DATA = "CAN_DataFrame"
_LENGTHS = np.array([*range(9), 12, 16, 20, 24, 32, 48, 64])  # bytes, by the code of a length (DLC) of CAN FD
_EXTENDED, _ADDRESS, _STANDARD = 31, 0x1FFFFFFF, 0x7FF  # the bit that says so, the others, the most without it


def kind_of(names: Sequence[str]) -> str:
    """What the frames of a channel group with channels of these names are; empty where it has none."""
    return next((match[1] for name in names if (match := _FRAMES.match(name))), "")


def can_frames(file: Any, index: int, names: Sequence[str]) -> Iterator[SimpleNamespace]:
    """The data frames of a channel group, with the fields of python-can's messages."""

    def field(name: str) -> Any:
        there = f"{_DATA}.{name}"
        return file.get(there, group=index, raw=True) if there in names else None

    address, content = field("ID"), np.asarray(field("DataBytes").samples, np.uint8)
    bits = np.asarray(address.samples, np.int64)
    extended, length, code = field("IDE"), field("DataLength"), field("DLC")
    codes = None if code is None else _LENGTHS[np.asarray(code.samples, np.int64).clip(0, len(_LENGTHS) - 1)]
    sizes = codes if length is None else length.samples
    bus, sent = field("BusChannel"), field("Dir")
    wide = bits >> _EXTENDED & 1 | (bits & _ADDRESS > _STANDARD) if extended is None else extended.samples
    for i, seconds in enumerate(np.asarray(address.timestamps, np.float64)):
        yield SimpleNamespace(
            timestamp=seconds, arbitration_id=int(bits[i]) & _ADDRESS, is_extended_id=bool(wide[i]),
            is_error_frame=False, is_remote_frame=False, is_rx=sent is None or sent.samples[i] in (0, b"Rx"),
            channel="" if bus is None else str(bus.samples[i]),
            data=bytes(content[i] if sizes is None else content[i, : int(sizes[i])]),
        )  # fmt: skip
