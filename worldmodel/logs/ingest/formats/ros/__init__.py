"""Streams of ROS messages, whatever bag they come from.

A topic's time is that of its messages' headers; where they have none it is when they were received.
"""

import dataclasses
import itertools
import re
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.logs.ingest.formats.ros.images import DEEP, picture
from worldmodel.logs.ingest.formats.ros.types import (
    COMMANDS,
    HEADER,
    IMAGES,
    MOST_COLUMNS,
    MOST_ELEMENTS,
    TYPES,
    Part,
    parts,
    short,
)
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import IN_PIECES, Recording, nominal_rate, piece_name
from worldmodel.types import StreamSpec

_COMMAND = re.compile(r"(^|[/_])(cmd|commands?|setpoints?|targets?|controls?)([/_]|$)", re.IGNORECASE)
_IMAGE_WORDS = re.compile(r"(_?(image|raw|color|rect|compressed|mono))+$")
_PX4 = "px4_msgs/"
_OTHER_CLOCK_S = 60.0  # headers that differ more from when they came are of a clock that was set otherwise
CAMERA = "camera"
_SINCE_1970_S = 1e9  # receive times of a simulation are less
_AT_ONCE = 4096  # messages, before it is looked how many numbers there are
_PIECE = 1 << 25  # numbers that are held at once: 256 MiB, and about as much again for each time that they are copied


class Message(NamedTuple):
    """A message of a bag: its topic, nanoseconds when it was received, its fields as attributes, its bytes."""

    topic: str
    received: int
    content: Any
    bytes: int


class Bag(Protocol):
    """What a bag's reader gives.

    Attributes:
        topics: the type of each topic.
        notes: what was lost.
        failed: how many messages of which topics could not be decoded, and why.
    """

    topics: dict[str, str]
    notes: list[str]
    failed: Counter[tuple[str, str]]

    def messages(self, topics: Iterable[str], since: int | None = None, until: int | None = None) -> Iterator[Message]:
        """The messages of topics, in the order in which they are stored.

        Args:
            topics: their names.
            since: the nanosecond from which on they were received; None for all.
            until: that before which they were.
        """
        ...


def decoded(bag: Bag, topic: str, decode: Callable[[], Any]) -> Any | None:
    """A message's content; None, which is counted, where it is not what its type says, or of a type nobody tells."""
    try:
        return decode()
    except Exception as error:  # of many types, by what is wrong with it
        bag.failed[topic, str(error).splitlines()[0] if str(error) else type(error).__name__] += 1
        return None


def read_bag(path: Path, bag: Bag, options: Options) -> Iterator[Recording]:
    """The recording of a bag, whose time zero is its first sample; or pieces of it, of as many numbers as can be held.

    Raises:
        RecipeError: if no stream can be made of it.
    """
    types = {topic: short(kind) for topic, kind in bag.topics.items()}
    names, films = _names(types), sorted(topic for topic, kind in types.items() if kind in IMAGES)
    made: set[str] = set()
    for piece in _pieces(bag, {topic: kind for topic, kind in sorted(types.items()) if parts(kind)}, options):
        recording = Recording(piece_name(path.name, piece.number), about={"description": "ROS messages"})
        if piece.number == 1:
            recording.notes.append(IN_PIECES)
        for table in piece.tables.values():
            table.finish(names, recording)
        made |= {spec.description for spec in recording.specs.values()}
        for topic in films:
            _add_film(bag, topic, piece, names[topic, CAMERA], recording, options)
        if piece.until is None:
            recording.notes += _left_out(bag, types, made)
        first = recording.first_sample(path)
        recording.origin_utc = 0.0 if first > _SINCE_1970_S else np.nan  # which moves with the first sample
        recording.shift(first)
        yield recording
        del recording, piece  # before the next is read


class _Piece(NamedTuple):
    """Some of a bag's messages, by topic: those of a time in nanoseconds; which one, counted from 1, 0 if it is all."""

    number: int
    tables: "dict[str, _Topic]"
    since: int | None = None
    until: int | None = None


def _pieces(bag: Bag, kinds: Mapping[str, str], options: Options) -> Iterator[_Piece]:
    messages = bag.messages(list(kinds)) if kinds else iter(())
    forms: dict[str, _Forms] = {topic: {} for topic in kinds}
    since: int | None = None
    for number in itertools.count(1):
        tables, more = {topic: _Topic(topic, kind, forms[topic]) for topic, kind in kinds.items()}, True
        while more and sum(table.numbers for table in tables.values()) < _PIECE:
            more, read = False, 0
            for message in itertools.islice(messages, _AT_ONCE):
                tables[message.topic].add(message)
                read += message.bytes
                more = True
            options.advance(read)
        first = next(messages, None) if more else None
        # An earlier message may be stored after it: pieces of films still neither overlap nor leave any out.
        until = None if first is None else max(since or 0, *(table.newest + 1 for table in tables.values()))
        yield _Piece(number if number > 1 or until is not None else 0, tables, since, until)
        if first is None:
            return
        messages, since = itertools.chain([first], messages), until


def _left_out(bag: Bag, types: Mapping[str, str], made: Collection[str]) -> Iterator[str]:
    """What is said of topics, at the end: those of unknown types, without streams, and that cannot be decoded."""
    own = {topic: kind for topic, kind in types.items() if parts(kind) and kind not in TYPES}
    if told := [f"{topic} ({kind})" for topic, kind in sorted(own.items()) if topic in made]:
        yield (
            "topics whose numbers are read as they are, without units, and without lists of more than "
            f"{MOST_ELEMENTS}: {', '.join(told)}"
        )
    left = {topic: kind for topic, kind in types.items() if not parts(kind) and kind not in IMAGES}
    left |= {topic: kind for topic, kind in own.items() if topic not in made}
    if left:
        told = [f"{topic} ({kind})" if kind else topic for topic, kind in sorted(left.items())]
        yield f"topics that no stream is made of: {', '.join(told)}"
    yield from bag.notes
    for topic in sorted({topic for topic, _ in bag.failed}):
        failed = Counter({why: n for (of, why), n in bag.failed.items() if of == topic})
        yield f"{topic}: {failed.total()} messages cannot be decoded: {_reasons(failed)}"


def _slug(topic: str) -> str:
    return topic.strip("/").replace("/", "_") or "topic"


def _names(types: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """What the streams of topics are called, by topic and part: after the topic too where two would share a name."""
    bases: dict[tuple[str, str], str] = {}
    for topic, kind in types.items():
        for part in parts(kind):
            bases[topic, part.stream] = part.stream + "_command" * bool(part.stream and is_action(topic, kind, part))
        if kind in IMAGES:
            bases[topic, CAMERA] = CAMERA
    often = Counter(bases.values())
    return {key: base if base and often[base] == 1 else _named(key[0], base) for key, base in bases.items()}


def _named(topic: str, base: str) -> str:
    if base == CAMERA:
        return _IMAGE_WORDS.sub("", _slug(topic)).strip("_") or CAMERA
    return f"{_slug(topic)}_{base}".strip("_")


def is_action(topic: str, kind: str, part: Part) -> bool:
    """Whether a stream is of commands: by its type, or where its topic is called so."""
    named = kind in COMMANDS or kind not in TYPES
    return part.kind == "action" or (named and _COMMAND.search(topic) is not None)


_Forms = dict[tuple[tuple[str, ...] | None, ...], int]  # of messages, and their numbers


class _Topic:
    """The readings of a topic as its messages come.

    Their numbers stand in a row: what garbage is looked for in again and again costs as much as to read it.
    """

    def __init__(self, topic: str, kind: str, forms: _Forms) -> None:
        self._topic, self._kind, self._parts = topic, kind, parts(kind)
        self._values = array("d")
        self._forms = forms  # which those of earlier pieces are in, so that columns are the same
        self._form = array("l")  # that of each message
        self._times = _Times(kind.startswith(_PX4))
        self._frame = ""
        self._odd: Counter[str] = Counter()

    @property
    def numbers(self) -> int:
        return len(self._values)

    @property
    def newest(self) -> int:
        """When the newest message was received, in nanoseconds."""
        return self._times.newest

    def add(self, message: Message) -> None:
        end = len(self._values)
        try:
            rows = [part.row(message.content) for part in self._parts]
            for row in rows:
                if row is not None:
                    self._take(row)
            self._times.add(message)
        except (AttributeError, TypeError, ValueError, OverflowError) as error:  # JSON may hold anything
            del self._values[end:]
            self._odd[str(error).splitlines()[0]] += 1
            return
        self._frame = self._frame or _frame(message.content)
        form = tuple([None if row is None else tuple(row) if type(row) is dict else () for row in rows])
        self._form.append(self._forms.setdefault(form, len(self._forms)))

    def _take(self, row: Sequence[float] | dict[str, float]) -> None:
        if isinstance(row, dict):
            self._values.extend(row.values())
            return
        end = len(self._values)
        try:
            self._values.extend(row)
        except TypeError:  # some codings write numbers that are none as words
            del self._values[end:]
            self._values.extend(map(float, row))

    def finish(self, names: Mapping[tuple[str, str], str], recording: Recording) -> None:
        """Adds its streams."""
        if self._odd:
            why = _reasons(self._odd)
            recording.notes.append(f"{self._topic}: {self._odd.total()} messages are no {self._kind}: {why}")
        most = max((len(told) for form in self._forms for told in form if told), default=0)
        if self._kind not in TYPES and most == MOST_COLUMNS:
            recording.notes.append(f"{self._topic}: of a message the first {MOST_COLUMNS} numbers are read")
        time = self._times.seconds(self._topic, recording.notes)
        for place, part in enumerate(self._parts):
            name = names[self._topic, part.stream]
            there, columns, data = self._table(place)
            if not there.all() and part.stream:
                recording.notes.append(
                    f"{name}: {(~there).sum()} of {len(there)} messages say that they hold none; left out"
                )
            if there.any():
                kind = "action" if is_action(self._topic, self._kind, part) else part.kind
                units = part.units if len(part.units) == len(columns) else part.units * len(columns)
                frame = self._frame if part.frame == HEADER else part.frame
                spec = StreamSpec(name, kind, columns, units, nominal_rate(time[there]), frame, description=self._topic)
                recording.add(spec, time[there], data)

    def _table(self, place: int) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
        """Which messages hold a part [N], and its columns and values [M, S], NaN where one lacks a name of others."""
        forms = [
            [part.columns if told == () else told for part, told in zip(self._parts, each, strict=True)]
            for each in self._forms
        ]
        own = [each[place] for each in forms]
        columns = tuple(dict.fromkeys(name for told in own for name in told or ()))
        form, values = np.asarray(self._form), np.asarray(self._values)
        there = np.array([told is not None for told in own], bool)[form]
        sizes = np.array([sum(len(told or ()) for told in each) for each in forms], int)[form]
        starts = np.cumsum(sizes) - sizes
        data = np.full((len(form), len(columns)), np.nan)
        for number, told in enumerate(own):
            if told:
                rows = np.flatnonzero(form == number)
                first = starts[rows] + sum(len(before or ()) for before in forms[number][:place])
                places = np.array([columns.index(name) for name in told])
                data[np.ix_(rows, places)] = values[first[:, None] + np.arange(len(told))]
        return there, columns, data[there]


def _reasons(counted: Counter[str]) -> str:
    """The most frequent of the reasons that are counted; each of many may be of one message alone."""
    (why, _), *others = counted.most_common(2)
    return f"{why}, and others" if others else why


class _Times:
    """When the messages of a topic are of.

    Args:
        px4: whether they are PX4's own, which tell microseconds as `timestamp`.
    """

    def __init__(self, px4: bool = False) -> None:
        self._px4 = px4
        self._received: list[int] = []
        self._stamps: list[int | None] = []

    def add(self, message: Message) -> None:
        stamp = int(getattr(message.content, "timestamp", 0)) * 1000 if self._px4 else _stamp(message.content)
        self._received.append(message.received)
        self._stamps.append(stamp)

    @property
    def newest(self) -> int:
        return max(self._received, default=0)

    def seconds(self, name: str, notes: list[str]) -> np.ndarray:
        """Seconds [M] by the headers, and a note of how they lie to when the messages came."""
        received = np.array(self._received, np.int64)
        stamps = np.array([stamp or 0 for stamp in self._stamps], np.int64)
        none = int((stamps == 0).sum())
        if none or not len(stamps):
            if any(stamp is not None for stamp in self._stamps):
                notes.append(f"{name}: {none} of {len(stamps)} headers have no stamp: all are by when they came")
            return received / 1e9
        late = (received - stamps) / 1e9
        median = float(np.median(late))
        spread = float(np.percentile(late, 95) - np.percentile(late, 5))
        if abs(median) > _OTHER_CLOCK_S:
            notes.append(
                f"{name}: its headers have another clock, {median:.3f} s behind (5 to 95 %: {spread:.4f} s); moved"
            )
            return (stamps + int(np.median(received - stamps))) / 1e9
        if median or spread:
            notes.append(f"{name}: by its headers, median {median:.4f} s before it came (5 to 95 %: {spread:.4f} s)")
        return stamps / 1e9


def _frame(content: Any) -> str:
    return str(getattr(getattr(content, "header", content), "frame_id", ""))


def _stamp(content: Any) -> int | None:
    """Nanoseconds of a message's header, or of its `timestamp`; None where it has none."""
    header = getattr(content, "header", None)
    stamp = getattr(header, "stamp", None) if header is not None else getattr(content, "timestamp", None)
    for whole, rest in (("sec", "nanosec"), ("sec", "nsec"), ("secs", "nsecs"), ("seconds", "nanos")):
        if hasattr(stamp, whole) and hasattr(stamp, rest):
            return int(getattr(stamp, whole)) * 10**9 + int(getattr(stamp, rest))
    return None


def _add_film(bag: Bag, topic: str, piece: _Piece, name: str, recording: Recording, options: Options) -> None:
    """A film of a topic's pictures, in a pass of its own so that none has to be kept."""
    times, damaged, deep = _Times(), Counter[str](), Counter[str]()

    def frames() -> Iterator[tuple[float, np.ndarray]]:
        for message in bag.messages([topic], piece.since, piece.until):
            options.advance(message.bytes)
            try:
                frame = picture(message.content, options.size, topic)
            except (WorldModelError, ValueError) as error:
                damaged[str(error).splitlines()[0]] += 1
                continue
            times.add(message)
            deep[getattr(message.content, "encoding", "")] += 1
            yield 0.0, frame

    recording.add_film(name, frames(), options.size, options.scratch, description=topic)
    recording.notes += [f"{name}: {count} pictures are left out: {why}" for why, count in damaged.items()]
    if told := [encoding for encoding in deep if encoding in DEEP]:
        recording.notes.append(f"{name}: of 16 bits ({', '.join(told)}) the upper 8 are kept")
    time = times.seconds(topic, recording.notes)
    if len(time):
        spec = dataclasses.replace(recording.specs[name], rate_hz=nominal_rate(time))
        recording.add(spec, time, recording.samples[name].data)
    else:
        del recording.specs[name], recording.samples[name]
