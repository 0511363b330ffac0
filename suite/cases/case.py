"""Cases, sweeps of cases, and the byte models: pure values that allocate nothing."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from suite.cases.dtypes import DTYPE_BYTES, INDEX_BYTES
from suite.cases.operations import registry
from suite.cases.operations.base import Operation

Cache = Literal["cold", "hot"]

CACHES: tuple[str, ...] = get_args(Cache)
NGRAMS = {"ngram": 4, "ngram-3": 3, "ngram-shuffled": 4, "ngram-3-shuffled": 3}
"""Distributions of the rows of n-grams, with the length of the longest."""
DISTRIBUTIONS = ("uniform", "zipf", "text", "text-shuffled", "meta-2022", "sorted", "equal", *NGRAMS)
PLACEMENTS = {"cpu": ("memory", "small-pages", "file"), "cuda": ("memory", "pinned", "managed")}
"""Where a table may lie, by kind of device; ``memory`` is the device's own."""
PLACES = tuple(dict.fromkeys(itertools.chain(*PLACEMENTS.values())))
"""All of them."""
MAX_SIZE = 2**40
"""Above this a vocab, dim or batch is taken for a slip of the keyboard."""
MAX_CASES = 100_000  # of one request: days
MAX_OFFSET = 4095
"""A page further on, memory is aligned as it was."""

_ZIPF = re.compile(r"zipf-(\d{1,2}(\.\d{1,4})?)")


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One point of a sweep.

    Attributes:
        vocab: rows of the table. dim: elements of a row of the result. dtype: their type.
        batch: number of ids in one lookup; of another operation what its ``counts`` says.
        index_dtype: the ids' type.
        distribution: the distribution of the ids (see ``suite.cases.ids``), or ``file:NAME@DIGEST``, where
            the digest is of the ids in that file; records of earlier versions have only its name.
        cache: ``cold``: ids, rows and output untouched since more than the last-level cache was; ``hot``:
            the same ids again. Of a file: whether its pages are in the page cache; the processor's is cold.
        offset: bytes by which the table's first row lies off the start of a page (GPU: of an allocation).
        placement: where the table lies. ``memory``: the device's own, of a CPU on huge pages where it gets
            them; ``small-pages``: on none; ``file``: a file mapped into memory; ``pinned``: the host's
            memory, read by a GPU; ``managed``: CUDA's managed memory.
        operation: what is computed (see ``suite.cases.operations``). variant: which of its kinds.

    Raises:
        ValueError: for a value that no case can have; the message is one line.
    """

    vocab: int
    dim: int
    dtype: str = "float32"
    batch: int = 512
    index_dtype: str = "int64"
    distribution: str = "uniform"
    cache: str = "cold"
    offset: int = 0
    placement: str = "memory"
    operation: str = "lookup"
    variant: str = ""

    def __post_init__(self) -> None:
        for name in ("vocab", "dim", "batch"):
            size = getattr(self, name)
            if not 1 <= size <= MAX_SIZE:
                raise ValueError(f"{name} {size}: out of range; give 1 to 2^40")
        _one_of("dtype", self.dtype, DTYPE_BYTES)
        _one_of("index dtype", self.index_dtype, INDEX_BYTES)
        _one_of("cache", self.cache, CACHES)
        _one_of("placement", self.placement, PLACES)
        if not self.distribution.startswith("file:") and not _ZIPF.fullmatch(self.distribution):
            _one_of("distribution", self.distribution, (*DISTRIBUTIONS, "zipf-EXPONENT"))
        width = DTYPE_BYTES[self.dtype]
        if not 0 <= self.offset <= MAX_OFFSET or self.offset % width:
            what = f"multiple of {width} bytes, as {self.dtype} needs, from 0 to {MAX_OFFSET}"
            raise ValueError(f"offset {self.offset}: out of place; give a {what}")
        if self.index_dtype == "int32" and self.vocab > 2**31:
            raise ValueError(f"vocab {self.vocab}: does not fit int32 ids; use --index-dtype int64")
        self.kind.check(self)
        if self.placement == "file" and self.table[-1]:
            raise ValueError(f"placement file: has rows as they are, none of {self.operation}; give memory")

    @property
    def kind(self) -> Operation:
        """What knows all of its operation."""
        return registry.named(self.operation)

    @property
    def ids(self) -> int:
        """How many ids one lookup is given."""
        return self.kind.ids(self)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of the table, as it is stored."""
        return self.kind.row_bytes(self)

    @property
    def table_bytes(self) -> int:
        """Bytes of the whole table."""
        return self.vocab * self.row_bytes

    @property
    def ids_bytes(self) -> int:
        """Bytes of one batch of ids, and of whatever else a call of its operation is given anew."""
        return self.kind.batch_bytes(self)

    @property
    def rows_bytes(self) -> int:
        """Bytes of the result: of a lookup its rows, as many as are read if nothing repeats."""
        return self.kind.result_bytes(self)

    @property
    def payload_bytes(self) -> int:
        """Bytes a call moves if every row is fetched anew: of a lookup batch · (index + 2 · row)."""
        return self.kind.payload_bytes(self)

    @property
    def ceiling_bytes(self) -> int:
        """Bytes the ceiling's copy moves: those of the rows, read and written; no ids."""
        return self.kind.ceiling_bytes(self)

    def compulsory_bytes(self, distinct: int) -> int:
        """Bytes no call can avoid, given the number of distinct ids: repeats are read once."""
        return self.kind.compulsory_bytes(self, distinct)

    @property
    def table(self) -> tuple[int, int, str, int, str, str]:
        """What identifies its table: vocab, dim, dtype, offset, placement, and what it holds but plain rows.

        Cases with the same share it.
        """
        return self.vocab, self.dim, self.dtype, self.offset, self.placement, self.kind.table_name(self)

    @property
    def repeats(self) -> bool:
        """Whether its lookups are of the same ids, again and again, which the processor's caches have."""
        return self.cache == "hot" and self.placement != "file"

    @property
    def evicted(self) -> bool:
        """Whether the pages of its table's file are put out of the page cache before each turn."""
        return self.cache == "cold" and self.placement == "file"

    @property
    def of_text(self) -> bool:
        """Whether its ids come from those that the suite ships."""
        return self.distribution.startswith(("text", *NGRAMS))

    @property
    def table_text(self) -> str:
        """Its table in words, after its operation, if that is none of every day."""
        words = [] if self.operation == "lookup" else [self.operation, *filter(None, [self.variant])]
        return " ".join([*words, f"{self.vocab}x{self.dim} {self.dtype}"])

    @property
    def ids_text(self) -> str:
        """Its ids in words, but for their number; with the table's offset and placement, if they matter."""
        words = [self.index_dtype, self.distribution, self.cache]
        words += [f"offset {self.offset}"] if self.offset else []
        words += [self.placement] if self.placement != "memory" else []
        return " ".join(words)

    def __str__(self) -> str:
        return f"{self.table_text} batch {self.batch} {self.ids_text}"


def host_bytes(case: Case, cache_bytes: int) -> int:
    """Memory that a case on the CPU takes beside its table: batches to rotate over, and what is flushed."""
    return 4 * (case.rows_bytes + case.ids_bytes + cache_bytes)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Axes; iterating gives every case of their product, those of one table together."""

    vocab: tuple[int, ...]
    dim: tuple[int, ...]
    dtype: tuple[str, ...] = ("float32",)
    batch: tuple[int, ...] = (512,)
    index_dtype: tuple[str, ...] = ("int64",)
    distribution: tuple[str, ...] = ("uniform",)
    cache: tuple[str, ...] = ("cold",)
    offset: tuple[int, ...] = (0,)
    placement: tuple[str, ...] = ("memory",)
    operation: tuple[str, ...] = ("lookup",)
    variant: tuple[str, ...] | None = None

    @property
    def size(self) -> int:
        """How many cases it has; makes none of them."""
        plain = math.prod(len(getattr(self, axis)) for axis in AXES if axis not in ("operation", "variant"))
        return plain * sum(len(self._variants(operation)) for operation in self.operation)

    def __iter__(self) -> Iterator[Case]:
        for operation in self.operation:
            some = replace(self, operation=(operation,), variant=self._variants(operation))
            for values in itertools.product(*(getattr(some, f.name) for f in fields(self))):
                yield Case(*values)

    def _variants(self, operation: str) -> tuple[str, ...]:
        return registry.named(operation).variants if self.variant is None else self.variant


AXES = ("operation", "variant", *(f.name for f in fields(Case) if f.name not in ("operation", "variant")))


def plan(sweeps: Iterable[Sweep], **axes: tuple[object, ...] | None) -> tuple[Case, ...]:
    """The cases of all sweeps, each once, with the axes that are given put in place of theirs.

    Raises:
        ValueError: for a value that no case can have, or more than MAX_CASES in all.
    """
    given = {name: values for name, values in axes.items() if values is not None}
    sweeps = [replace(sweep, **given) for sweep in sweeps]  # type: ignore[arg-type]
    size = sum(sweep.size for sweep in sweeps)
    if size > MAX_CASES:
        raise ValueError(f"axes: {size:,} cases; give fewer values, at most {MAX_CASES:,} cases")
    by_table: dict[tuple[object, ...], dict[Case, None]] = {}
    for sweep in sweeps:
        for case in sweep:
            by_table.setdefault(case.table, {})[case] = None
    return tuple(itertools.chain.from_iterable(by_table.values()))


def _one_of(what: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ValueError(f"{what} {value}: unknown; give one of {', '.join(known)}")
