"""Turns sources into logs on a Ray cluster, whose nodes see the same files."""

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs.ingest.conversion import Refuse, convert
from worldmodel.logs.ingest.importer import Options, needed
from worldmodel.logs.ingest.sources import Source

_RETRIES = 8  # of a source whose node was lost
_POLL_S = 0.2
_ANSWER_S = 10


def convert_on_ray(
    jobs: Sequence[tuple[Source, Path]],
    options: Options,
    address: str,
    advance: Callable[[int], object],
    refuse: Refuse,
) -> None:
    """Turns sources into logs; what a node that was lost had begun is begun again on another.

    Args:
        jobs: each source, and its log; paths that every node sees.
        options: for all.
        address: of the cluster, such as `auto` or `ray://head:10001`.
        advance: called with numbers of bytes as sources are finished.
        refuse: called with a source that cannot be taken and the error that says why.

    Raises:
        RecipeError: if there is no cluster, or a source cannot be read.
    """
    ray = needed("ray", "ray")
    try:
        _check_there(address)
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # of many types, by what is wrong
        raise RecipeError(
            f"There is no Ray cluster at {address!r}.",
            found=str(error).splitlines()[0],
            remedy="start one (ray start --head), and pass its address",
        ) from error
    try:
        task = ray.remote(max_retries=_RETRIES, num_cpus=1)(_convert)
        options = options.absolute()
        running = {task.remote(source.absolute(), options, part.absolute()): source for source, part in jobs}
        while running:
            done, _ = ray.wait(list(running), timeout=_POLL_S)
            for reference in done:
                source = running.pop(reference)
                try:
                    ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    if not isinstance(error.cause, WorldModelError):
                        raise error.cause from error
                    refuse(source, error.cause)
                advance(source.bytes)
    finally:
        ray.shutdown()


def _check_there(address: str) -> None:
    """Asks at an address of the form HOST:PORT whether anything answers, as Ray itself waits for minutes.

    Raises:
        OSError: if nothing does.
    """
    place = urlsplit(address if "://" in address else f"//{address}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), _ANSWER_S).close()


def _convert(source: Source, options: Options, part: Path) -> None:
    convert(source, options, part)
