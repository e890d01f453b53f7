"""Frames of CAN logs that are tables: those of SavvyCAN (GVRET), python-can, cabana and the CANedge."""

import base64
import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from worldmodel.logs.ingest.importer import needed

SAVVYCAN = b"time stamp,id,extended,"
PYTHON_CAN = b"timestamp,arbitration_id,extended,remote,error,dlc,data"
CABANA = b"time,addr,bus,data"
CANEDGE = b"timestampepoch;buschannel;id;ide;dlc;datalength;dir;edl;brs;databytes"
UNREADABLE = "that cannot be read"
_SENT = 128  # cabana's numbers of buses from which on frames are the car computer's own


def is_header(line: bytes) -> bool:
    """Whether a file whose first line that is has CAN frames."""
    return line.strip().lower().replace(b'"', b"").startswith((SAVVYCAN, PYTHON_CAN, CABANA, CANEDGE))


def frames(lines: Iterable[str], others: dict[str, int]) -> Iterator[Any]:
    """The frames; `others` counts the lines that cannot be read.

    Args:
        lines: the header, and a frame a line.
        others: gets a number under `UNREADABLE`.
    """
    message = needed("can", "can").Message
    header, *_ = first = list(itertools.islice(lines, 1)) or [""]
    lines = (line.replace("\0", "") for line in itertools.chain(first, lines))
    rows = csv.DictReader(lines, skipinitialspace=True, delimiter=";" if ";" in header else ",")
    for row in rows:
        told = {str(name).strip().lower(): str(value or "").strip() for name, value in row.items() if name}
        try:
            yield message(**next(read for name, read in _KINDS.items() if name in told)(told))
        except (ValueError, KeyError, TypeError, StopIteration):
            others[UNREADABLE] = others.get(UNREADABLE, 0) + 1


def _of_savvycan(row: Mapping[str, str]) -> dict[str, Any]:
    """Microseconds, hexadecimal address and bytes."""
    length = int(row["len"])
    return {
        "timestamp": int(row["time stamp"]) * 1e-6,
        "arbitration_id": int(row["id"], 16),
        "is_extended_id": row["extended"].lower() in ("true", "1"),
        "is_rx": row.get("dir", "Rx").lower() != "tx",
        "channel": row.get("bus", ""),
        "is_fd": length > 8,
        "data": bytes(int(row[f"d{i}"], 16) for i in range(1, length + 1)),
    }


def _of_python_can(row: Mapping[str, str]) -> dict[str, Any]:
    """Seconds, and bytes in base 64."""
    data = base64.b64decode(row["data"], validate=True)
    return {
        "timestamp": float(row["timestamp"]),
        "arbitration_id": int(row["arbitration_id"], 16),
        "is_extended_id": row["extended"] == "1",
        "is_remote_frame": row["remote"] == "1",
        "is_error_frame": row["error"] == "1",
        "is_fd": len(data) > 8,
        "data": data,
    }


def _of_cabana(row: Mapping[str, str]) -> dict[str, Any]:
    """Seconds, an address that is hexadecimal with 0x before it, and bytes."""
    address, bus = int(row["addr"], 0), int(row["bus"])
    data = bytes.fromhex(row["data"].removeprefix("0x"))
    return {
        "timestamp": float(row["time"]),
        "arbitration_id": address,
        "is_extended_id": address > 0x7FF,
        "is_rx": bus < _SENT,
        "channel": str(bus % _SENT),
        "is_fd": len(data) > 8,
        "data": data,
    }


def _of_canedge(row: Mapping[str, str]) -> dict[str, Any]:
    """Seconds since 1970, hexadecimal address and bytes."""
    return {
        "timestamp": float(row["timestampepoch"]),
        "arbitration_id": int(row["id"], 16),
        "is_extended_id": row["ide"] == "1",
        "is_rx": row["dir"] == "0",
        "channel": row["buschannel"],
        "is_fd": row["edl"] == "1",
        "data": bytes.fromhex(row["databytes"]),
    }


_KINDS = {
    "time stamp": _of_savvycan,
    "addr": _of_cabana,
    "timestampepoch": _of_canedge,
    "arbitration_id": _of_python_can,
}
