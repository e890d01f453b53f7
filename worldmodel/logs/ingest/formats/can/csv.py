"""Frames of CAN logs that are tables: SavvyCAN's (GVRET), and those of python-can."""

import base64
import csv
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from worldmodel.logs.ingest.importer import needed

SAVVYCAN = b"time stamp,id,extended,"
PYTHON_CAN = b"timestamp,arbitration_id,extended,remote,error,dlc,data"
UNREADABLE = "that cannot be read"


def is_header(line: bytes) -> bool:
    """Whether a file whose first line that is has CAN frames."""
    return line.strip().lower().replace(b'"', b"").startswith((SAVVYCAN, PYTHON_CAN))


def frames(lines: Iterable[str], others: dict[str, int]) -> Iterator[Any]:
    """The frames; `others` counts the lines that cannot be read.

    Args:
        lines: the header, and a frame a line.
        others: gets a number under `UNREADABLE`.
    """
    message = needed("can", "can").Message
    rows = csv.DictReader((line.replace("\0", "") for line in lines), skipinitialspace=True)
    for row in rows:
        told = {str(name).strip().lower(): str(value or "").strip() for name, value in row.items() if name}
        try:
            yield message(**(_of_savvycan(told) if "time stamp" in told else _of_python_can(told)))
        except (ValueError, KeyError, TypeError):
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
