"""Contract of a way: how ranks that hold a part of one table each look up its rows together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Array = Any
"""A torch tensor."""

Phase = Callable[[str], None]
"""Is told what begins: ``"lookup"``, of rows that this rank holds, or ``"exchange"``, with the others."""

Call = Callable[[Phase], Array]
"""One lookup of all ranks together; returns this rank's part of the result."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rank stands.

    Attributes:
        rank, ranks: its number, and how many there are.
        vocab, dim: rows and columns of the whole table.
        each: rows (columns) that a rank holds, by its sharding; the last one may hold fewer rows.
        batch: ids of one lookup, of all ranks together.
        device: torch's name of where the part lies.
        backend: what the ranks talk by: ``gloo`` or ``nccl``.
        group: torch's process group of all ranks.
    """

    rank: int
    ranks: int
    vocab: int
    dim: int
    each: int
    batch: int
    device: str
    backend: str
    group: Any = None

    @property
    def first(self) -> int:
        """The first row (column) of its part."""
        return self.rank * self.each

    @property
    def ids_each(self) -> int:
        """Ids of a lookup that are one rank's, where ids lie in parts; the batch divides by the ranks."""
        return self.batch // self.ranks


class Way(ABC):
    """One way to look up rows over ranks. A file in this folder holds one subclass, its name is the file's.

    Attributes:
        sharding: ``"row"``: rank r holds rows r · each and on; ``"column"``: so many columns of every row.
        ids: ``"all"``: every rank is given the whole batch; ``"share"``: batch / ranks of it, in order.
        result: ``"all"``: every rank returns all rows of the batch; ``"share"``: those of its share.
        packages: distributions it needs beside torch.
    """

    sharding: ClassVar[Literal["row", "column"]]
    ids: ClassVar[Literal["all", "share"]] = "all"
    result: ClassVar[Literal["all", "share"]] = "all"
    packages: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def prepare(self, part: Array, ids: Array, place: Place) -> Call:
        """Do all that can be done once; nothing here is timed. All ranks do it at the same time.

        Args:
            part: (rows, dim) or (vocab, columns) of the table's dtype; must not be written to.
            ids: (n,) int64, rewritten by the suite between calls.

        Returns:
            The lookup: (batch or batch / ranks, dim) of the table's dtype. It reads part and ids as they are
            when it is called.

        Raises:
            backends.base.Unsupported: for what it can't do, with the reason.
            backends.base.BackendUnavailable: if its library can't be used.
        """

    @staticmethod
    @abstractmethod
    def wire_bytes(place: Place, row_bytes: int, distinct: int) -> float:
        """Bytes that a rank sends in one lookup, on average over ranks, by the algorithm's model.

        Args:
            row_bytes: of a whole row. distinct: different ids of what one rank is given, on average.
        """


def ring_bytes(place: Place, row_bytes: int, turns: int = 1) -> float:
    """Bytes that a rank sends while all rows of a batch go round a ring: once, or twice in an all-reduce."""
    return turns * (place.ranks - 1) / place.ranks * place.batch * row_bytes


def as_bytes(rows: Array) -> Array:
    """The bytes of rows, (n, row bytes): what any exchange carries unchanged, whatever the dtype."""
    import torch

    return rows.view(torch.uint8)


def as_sums(rows: Array) -> Array:
    """Rows as the widest integers that fit: a sum in which all ranks but one give zeros keeps every bit."""
    import torch

    return rows.view(torch.int32 if rows.shape[1] * rows.element_size() % 4 == 0 else torch.uint8)


def masked(part: Array, ids: Array, first: int) -> Array:
    """(n, dim): the rows that this rank holds; zeros for others', which read row 0, as Megatron does."""
    import torch

    own = ids - first
    foreign = (own < 0) | (own >= len(part))
    rows = torch.nn.functional.embedding(own.masked_fill(foreign, 0), part)
    return rows.masked_fill_(foreign[:, None], 0)


def collective(name: str, older: str) -> Any:
    """torch's collective of a name, or as releases before 2.13 called it."""
    from torch import distributed

    return getattr(distributed, name, None) or getattr(distributed, older)
