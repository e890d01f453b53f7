"""Writes down what ingest makes of files and folders, and says what has become of it since.

    python -m tests.benchmarks.findings ../shared/cases ../shared/data --out before.json
    python -m tests.benchmarks.findings ../shared/cases ../shared/data --against before.json

Of every file and folder given, and of what lies in a folder, it keeps the streams, the hashes of the episodes, the
notes and the findings, or the error. What is made faster must say the same.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worldmodel.errors import WorldModelError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.reader import Log

_MOST = 12  # files of a folder that are tried by themselves


def sources(given: list[Path]) -> Iterator[Path]:
    """What lies in the folders that are given, and in these some files by themselves."""
    for folder in given:
        for path in sorted(folder.iterdir()) if folder.is_dir() else [folder]:
            yield path
            if path.is_dir():
                yield from sorted(file for file in path.iterdir() if file.is_file())[:_MOST]


def said(path: Path, scratch: Path) -> dict[str, Any]:
    """What ingest makes of a source."""
    try:
        report = ingest(path, scratch / "log.h5", force=True, progress=False, workers=1)
    except WorldModelError as error:
        return {"error": str(error)}
    with Log(report.path) as log:
        kept = {"streams": [repr(spec) for spec in log.streams.values()], "sha256": list(log.episode_sha256)}
    return kept | {"notes": list(report.notes), "findings": [finding.to_json() for finding in report.findings]}


def differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """A line for each thing of a source that is not as it was."""
    for path, now in after.items():
        then = before.get(path, {})
        for key in sorted(then.keys() | now.keys()):
            if then.get(key) != now.get(key):
                yield f"{path}: {key}\n  was {then.get(key)}\n  is  {now.get(key)}"


def main() -> int:
    """Writes or compares; 1 where something is not as it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("given", type=Path, nargs="+")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--against", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        after = {str(path): said(path, Path(folder)) for path in sources(given.given)}
        after = json.loads(json.dumps(after).replace(folder, "FOLDER"))  # messages name the log
    if given.out:
        given.out.write_text(json.dumps(after, indent=1, sort_keys=True))
    told = list(differences(json.loads(given.against.read_text()), after)) if given.against else []
    print("\n".join([*told, f"{len(after)} sources, {len(told)} differences"]))
    return bool(told)


if __name__ == "__main__":
    sys.exit(main())
