"""A run on disk: its environment, or several it went on in, and records, appended a measurement at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from suite.records.record import Environment, Record, from_json, to_json
from suite.text import plain

MAX_LINE_BYTES = 8 * 2**20
"""The longest record; a longer line is none."""
READ_BYTES = 2**20

MOST_TIMES = 60
"""Compressed records are not read further once they came to so many times the file; JSON of times to five."""

_ENVIRONMENT = "environment.json"
_LATER = re.compile(r"environment-([2-9]|[1-9][0-9]{1,3})\.json")
_RECORDS = "records.jsonl"
_COMPRESSED = "records.jsonl.gz"
_Kind = TypeVar("_Kind", Record, Environment)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StoreError(Exception):
    """A run directory can't be made, read or written. One line: ``<subject>: <what is>; <what to do>``."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A line of records.jsonl that is no record, and why; line_number counts from 1."""

    path: Path
    line_number: int
    why: str

    def __str__(self) -> str:
        return plain(f"{self.path}:{self.line_number}: {self.why}; the line is left out")


@dataclass(frozen=True, slots=True)
class Run:
    """One run on disk: ``environment.json``, replaced as a whole, and ``records.jsonl``, only appended to.

    A finished run may lie there compressed, as ``gzip records.jsonl`` leaves it.

    A run that went on in another environment has ``environment-2.json`` too. On disk its records from then on
    name that one by its number, ``2`` or ``NAME+2``; each part of the run reads and writes its own records,
    under their names without the number.

    Attributes:
        number: of the environment, from 1. others: what the records of the other parts name, on disk.
    """

    path: Path
    environment: Environment
    number: int = 1
    others: frozenset[str | None] = frozenset()

    @classmethod
    def create(cls, path: str | os.PathLike[str], environment: Environment) -> Run:
        """Create the folder of a new run.

        Args:
            path: a folder that does not exist yet or is empty.
            environment: written at once, whole or not at all.

        Raises:
            StoreError: the folder is not empty, or can't be written.
        """
        folder = Path(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _check_empty(folder)
            os.close(os.open(folder / _RECORDS, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            _write_first(folder, environment)
        except OSError as error:
            why = _why(error)
            raise StoreError(f"{folder}: can't be written ({why}); give another folder with --out") from None
        return cls(folder, environment)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Run:
        """The run in a folder, in its first environment; its records are read later.

        Raises:
            StoreError: no such folder, no run in it, or an environment that this version can't read.
        """
        return cls.parts(path)[0]

    @classmethod
    def parts(cls, path: str | os.PathLike[str]) -> list[Run]:
        """The run in a folder, once for each environment that it went on in, in order.

        Raises:
            StoreError: as ``open``.
        """
        folder = Path(path)
        try:
            _check_run(folder)
            later = [int(match[1]) for file in folder.iterdir() if (match := _LATER.fullmatch(file.name))]
            found = [cls(folder, _environment(folder, number), number) for number in (1, *sorted(later))]
        except OSError as error:
            raise StoreError(f"{folder}: can't be read ({_why(error)}); check its permissions") from None
        names = [set(part.names) for part in found]
        return [
            replace(part, others=frozenset().union(*names) - own)
            for part, own in zip(found, names, strict=True)
        ]

    def gone_on(self, environment: Environment) -> Run:
        """The same run in another environment, which is written down beside those that it has.

        Raises:
            StoreError: it can't be written.
        """
        last = Run.parts(self.path)[-1]
        begun = Run(self.path, environment, last.number + 1, last.others | {*last.names})
        return begun.amended()

    @property
    def names(self) -> dict[str | None, str | None]:
        """The Python environments of this part by what its records name on disk; null for the run's own."""
        return {_on_disk(name, self.number): name for name in self.environment.environments or (None,)}

    def amended(self, **fields: Any) -> Run:
        """Write these fields into the environment; returns the run with them.

        Raises:
            StoreError: it can't be written.
        """
        environment = replace(self.environment, **fields)
        try:
            _write_whole(self.path / _file(self.number), _pretty(environment))
        except OSError as error:
            raise self._unwritten(error) from None
        return replace(self, environment=environment)

    def append(self, records: Iterable[Record]) -> None:
        """Write the records of a measurement to disk: all of them, synced when this returns, or none.

        Raises:
            StoreError: the disk is full or broken; the file is as it was before.
            ValueError: a record holds NaN or infinity.
        """
        named = (replace(r, environment=_on_disk(r.environment, self.number)) for r in records)
        block = b"".join(map(_line, named))
        if _is_compressed(self.path):
            what = f"{self.path / _COMPRESSED}: compressed records can't be added to"
            raise StoreError(f"{what}; uncompress them with gunzip first")
        try:
            with (self.path / _RECORDS).open("a+b", buffering=0) as file:
                _append(file.fileno(), block)
        except OSError as error:
            raise self._unwritten(error) from None

    def _unwritten(self, error: OSError) -> StoreError:
        return StoreError(f"{self.path}: {_why(error)}; see to it, then go on with --resume")

    def read(self) -> Iterator[Record | Refused]:
        """Read every line in order, one in memory at a time: a record, or why it is none. No line raises.

        A record that names no environment of the run, or was measured by another method than its
        environment's, is none. A line of which it can't be said to which part it belongs is the first's.

        Raises:
            StoreError: the file itself can't be read.
        """
        path, names = self.path / (_COMPRESSED if _is_compressed(self.path) else _RECORDS), self.names
        try:
            with _opened(path) as file:
                for number, line in enumerate(_lines(file), 1):
                    item = self._item(line, names)
                    if isinstance(item, str):
                        yield Refused(path, number, item)
                    elif item:
                        yield item
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise StoreError(f"{path}: is no whole compressed file; get it anew") from None
        except OSError as error:
            raise StoreError(f"{path}: can't be read ({_why(error)}); check its permissions") from None

    def _item(self, line: bytes, names: Mapping[str | None, str | None]) -> Record | str | None:
        """A record of this part, or why a line is none; null for what another part has to tell."""
        try:
            record = _decode(Record, line)
        except ValueError as error:
            torn = not line.endswith(b"\n") and len(line) <= MAX_LINE_BYTES
            why = "cut short by an interrupted write" if torn else str(error)
            return why if self.number == 1 else None
        if record.environment not in names:
            why = f"names the environment {record.environment}, which the run has not"
            return why if self.number == 1 and record.environment not in self.others else None
        if record.method != self.environment.method:
            return f"measured by method {record.method}, its environment has {self.environment.method}"
        name = names[record.environment]
        return record if name == record.environment else replace(record, environment=name)

    def records(self) -> tuple[list[Record], list[Refused]]:
        """The whole run in memory: the records in order, and the lines that are no records."""
        items = list(self.read())
        return [i for i in items if isinstance(i, Record)], [i for i in items if isinstance(i, Refused)]


def _file(number: int) -> str:
    return _ENVIRONMENT if number == 1 else f"environment-{number}.json"


def _on_disk(name: str | None, number: int) -> str | None:
    """What records name a Python environment of that part of a run."""
    return name if number == 1 else str(number) if name is None else f"{name}+{number}"


def _environment(folder: Path, number: int) -> Environment:
    file = folder / _file(number)
    if not file.is_file():
        raise StoreError(f"{file}: is no file; give a folder that suite.run made")
    with file.open("rb") as opened:
        text = opened.read(MAX_LINE_BYTES + 1)
    try:
        return _decode(Environment, text)
    except ValueError as error:
        what = f"{file}: {error}; read it with the version of the suite that wrote it"
        raise StoreError(plain(what)) from None


def _check_empty(folder: Path) -> None:
    if (folder / _ENVIRONMENT).exists():
        raise StoreError(f"{folder}: holds a run already; go on with --resume, or give another --out")
    if any(folder.iterdir()):
        raise StoreError(f"{folder}: is not empty; give a new folder with --out")


def _check_run(folder: Path) -> None:
    if not folder.exists():
        raise StoreError(f"{folder}: no such folder; give one that suite.run made")
    if not folder.is_dir():
        raise StoreError(f"{folder}: is no folder; give one that suite.run made")
    records = _COMPRESSED if _is_compressed(folder) else _RECORDS
    for name in (_ENVIRONMENT, records):  # a pipe or a device there would block for ever
        if not (folder / name).is_file():
            raise StoreError(f"{folder}: is no run, {name} is missing; give a folder that suite.run made")


def _is_compressed(folder: Path) -> bool:
    return not (folder / _RECORDS).exists() and (folder / _COMPRESSED).is_file()


def _opened(path: Path) -> BinaryIO:
    if path.suffix != ".gz":
        return path.open("rb", buffering=READ_BYTES)
    return cast(BinaryIO, io.BufferedReader(_Bounded(path), READ_BYTES))


class _Bounded(gzip.GzipFile):
    """A compressed file that ends where it came to so much that it was made to fill the memory."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self.left = MOST_TIMES * path.stat().st_size + MAX_LINE_BYTES

    def readinto(self, buffer: Any) -> int:
        data = self.read(min(len(buffer), self.left))
        buffer[: len(data)] = data
        self.left -= len(data)
        return len(data)


def _write_first(folder: Path, environment: Environment) -> None:
    try:
        _write_whole(folder / _ENVIRONMENT, _pretty(environment))
    except OSError:
        (folder / _RECORDS).unlink()  # just created and empty: without it, the folder can be tried again
        raise


def _pretty(environment: Environment) -> bytes:
    tree = dataclasses.asdict(environment)
    return _encode(json.dumps(tree, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def _line(record: Record) -> bytes:
    line = _encode(to_json(record) + "\n")
    if len(line) > MAX_LINE_BYTES:
        subject = f"{record.backend} on {record.case}"
        raise StoreError(f"{subject}: its record exceeds {MAX_LINE_BYTES} bytes; take fewer samples")
    return line


def _encode(text: str) -> bytes:
    # Undecodable bytes of a message arrive as lone surrogates; written as JSON escapes they can be read back.
    return text.encode("utf-8", "backslashreplace")


def _decode(kind: type[_Kind], line: bytes) -> _Kind:
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        return from_json(kind, line)
    except (OverflowError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a {kind.__name__.lower()}: {error}") from None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines with their newline; of a line that is too long, only the beginning."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        rest = line
        while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES + 1)
        yield line


def _append(fd: int, block: bytes) -> None:
    length = os.fstat(fd).st_size
    if length and os.pread(fd, 1, length - 1) != b"\n":
        block = b"\n" + block  # a run killed while writing left half a line: end that line
    try:
        _write_all(fd, block)
        os.fsync(fd)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(fd, length)
            os.fsync(fd)
        raise


def _write_all(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]  # on a full disk the first write is short, the next one raises


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader finds all of it or nothing, even after a power cut."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _why(error: OSError) -> str:
    return "disk full" if error.errno in _FULL else str(error.strerror or error).lower()
