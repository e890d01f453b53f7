"""Where the shipped scenes and recipes are: inside an installed package, or beside it in a clone."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def content_dir(name: str) -> Path:
    """The folder of shipped content called `sim` or `datasets`."""
    installed = _PACKAGE / "_content" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
