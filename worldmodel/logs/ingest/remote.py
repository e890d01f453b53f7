"""Fetches sources that lie elsewhere (`s3://`, `gs://`, `https://`): importers seek in files, which have to be here."""

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.importer import needed

_BLOCK_BYTES = 1 << 20


def is_remote(name: str | Path) -> bool:
    """Whether a source is a URL."""
    return isinstance(name, str) and "://" in name


def fetched(
    given: Sequence[str | Path], folder: Path, show: Callable[[str], object] = lambda _: None
) -> list[str | Path]:
    """The sources, with a copy in `folder` in place of each that is a URL; what is there already is not fetched again.

    Args:
        given: paths, patterns and URLs; a URL may name a file, a folder or a pattern.
        folder: where copies are kept.
        show: called with each URL before it is fetched.

    Raises:
        RecipeError: if one cannot be fetched.
    """
    return [_fetch(str(name), folder, show) if is_remote(name) else name for name in given]


def _fetch(url: str, folder: Path, show: Callable[[str], object]) -> Path:
    fsspec = needed("fsspec", "remote")
    target = folder / hashlib.sha256(url.encode()).hexdigest()[:16]
    try:
        system, path = fsspec.url_to_fs(url)
        system.invalidate_cache()  # what was listed earlier may have changed
        names = _names(system, path)
        if not names:
            raise FileNotFoundError(path)
        above = str(PurePosixPath(os.path.commonpath([PurePosixPath(name).parent for name in names])))
        copies = [_copy(system, name, target / _inside(name, above), show) for name in names]
    except (RecipeError, KeyboardInterrupt):
        raise
    except Exception as error:  # of many libraries, by the system that is asked
        raise RecipeError(
            f"{url} cannot be fetched.",
            found=f"{type(error).__name__}: {error}".splitlines()[0],
            remedy="check the address and your access; pip install 'worldmodel-toolkit[remote]' brings S3 and GCS",
        ) from error
    return copies[0] if len(copies) == 1 else target


def _names(system: Any, path: str) -> list[str]:
    """The files that a path names, in order."""
    if any(mark in path for mark in "*[") or (not path.startswith("http") and "?" in path):
        return sorted(system.glob(path))
    return [path] if system.isfile(path) else sorted(system.find(path))


def _inside(name: str, above: str) -> Path:
    """Where a file lies below the folder that all of them share; a name that leads out of it is refused."""
    relative = PurePosixPath(name).relative_to(above)
    if ".." in relative.parts:
        raise RecipeError(f"{name} leads out of its folder.", remedy="name the file itself")
    return Path(*relative.parts)


def _copy(system: Any, name: str, target: Path, show: Callable[[str], object]) -> Path:
    size = system.info(name).get("size")
    if target.is_file() and target.stat().st_size == size:
        return target
    show(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    with system.open(name, "rb") as source, open(partial, "wb") as file:
        shutil.copyfileobj(source, file, _BLOCK_BYTES)
    os.replace(partial, target)
    return target
