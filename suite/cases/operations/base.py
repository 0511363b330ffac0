"""Operation: what a case computes. Its operands, what the right result is, the bytes it must move."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from suite.cases.dtypes import width_of

Array = Any
Host = Any
"""A NumPy array."""
Batch = Mapping[str, Host]
"""The operands of one call, by name."""
Arrays = Any
"""``suite.engine.arrays.Arrays``: it is handed over, as nothing here knows of devices."""


class Case(Protocol):
    """What an operation reads of a case: ``suite.cases.case.Case`` says what each is."""

    @property
    def operation(self) -> str: ...
    @property
    def variant(self) -> str: ...
    @property
    def vocab(self) -> int: ...
    @property
    def dim(self) -> int: ...
    @property
    def dtype(self) -> str: ...
    @property
    def batch(self) -> int: ...
    @property
    def index_dtype(self) -> str: ...


Call = Callable[[Case, Batch], Host | None]
"""Takes a case and bits of a table and a batch of its own, by name; the bits that a backend makes of them.

It has them prepared anew and called once; null where the backend refuses them.
"""
Facts = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class Stored:
    """A table on its device, as bits, and what is beside it, by name."""

    arrays: Arrays
    table: Array
    beside: Mapping[str, Array]


class Operation(ABC):
    """What is computed from a table and a batch of operands, the ids among them; all that is its own.

    A backend's ``prepare`` is given the operands by name: ``table``, where there is one; those of a batch, as
    ``draw`` makes them, ``indices`` among them; those that belong to the table, as ``beside`` makes them;
    ``out``; and the ``settings``. Those of a batch are rewritten between calls, rows of the table and of what
    is beside it too.

    Results are compared bit for bit. So where sums are made, elements are integers times a power of two, and
    every order of the sums comes to the same bits.

    Attributes:
        variants: those that a sweep takes where none is asked for; what a variant may be, ``check`` says.
        counts: what ``batch`` is a number of.
        has_table: whether it reads a table. Of one that does not, ``stored`` has no columns.
        in_place: whether the result is the table itself, which a call changes. Its ``out`` is the table, and
            what a call has changed is put right, outside the clock, before the result of one is compared.
        by_position: whether operands are handed over by position: table, indices, out.
        reference: the backend that stands beside a GPU's on the CPU.
        baselines: the backends that others are compared with, the first of them that is there.
    """

    variants: ClassVar[tuple[str, ...]] = ("",)
    counts: ClassVar[str] = "id"
    has_table: ClassVar[bool] = True
    in_place: ClassVar[bool] = False
    by_position: ClassVar[bool] = False
    reference: ClassVar[str]
    baselines: ClassVar[tuple[str, ...]]

    def check(self, case: Case) -> None:
        """Refuse a case that there can't be.

        Raises:
            ValueError: one line, ``<subject>: <what is>; <what to do>``.
        """
        if case.variant:
            raise ValueError(f"variant {case.variant}: the operation {case.operation} has none; leave it out")

    # Shapes and bytes: of the case alone.

    def ids(self, case: Case) -> int:
        """How many ids a call is given."""
        return case.batch

    def result(self, case: Case) -> tuple[int, int]:
        """Shape of the result."""
        return case.batch, case.dim

    def stored(self, case: Case) -> tuple[int, str]:
        """Columns of the table, and the type of its elements, as they are stored."""
        return case.dim, case.dtype

    def table_name(self, case: Case) -> str:
        """What tells its table from others of the same vocab, dim and dtype; of plain rows nothing."""
        return ""

    def dtypes(self, case: Case) -> dict[str, str]:
        """The type of every operand, by name: of an element, or of an id."""
        return {"table": self.stored(case)[1], "indices": case.index_dtype, "out": case.dtype}

    def row_bytes(self, case: Case) -> int:
        """Bytes of one row as it is stored, with what is beside the table for it."""
        columns, dtype = self.stored(case)
        return columns * width_of(dtype)

    def batch_bytes(self, case: Case) -> int:
        """Bytes of the operands of one call: its ids, and whatever ``draw`` makes beside them."""
        return self.ids(case) * width_of(case.index_dtype)

    def result_bytes(self, case: Case) -> int:
        """Bytes of the result; none of one in place, which needs no memory of its own."""
        if self.in_place:
            return 0
        rows, columns = self.result(case)
        return rows * columns * width_of(case.dtype)

    def payload_bytes(self, case: Case) -> int:
        """Bytes a call moves if every row is fetched anew."""
        return self.batch_bytes(case) + self.ids(case) * self.row_bytes(case) + self.result_bytes(case)

    def compulsory_bytes(self, case: Case, distinct: int) -> int:
        """Bytes no call can avoid, given the number of distinct ids: repeats are read once."""
        return self.batch_bytes(case) + distinct * self.row_bytes(case) + self.result_bytes(case)

    def ceiling_bytes(self, case: Case) -> int:
        """Bytes the ceiling's copy moves, half of them read and half written: those of the rows; no ids."""
        return self.ids(case) * self.row_bytes(case) + self.result_bytes(case)

    # Operands and what is right: on the host.

    @abstractmethod
    def rows(self, case: Case, numbers: Host) -> Host:
        """These rows of the table as they are stored: (n, columns) of bits, in signed integers."""

    def fill(self, case: Case, arrays: Arrays, table: Array) -> None:
        """Write all rows of the table, then let nothing write to it, unless it is ``in_place``."""
        arrays.fill_rows(table, lambda numbers: self.rows(case, numbers), writable=self.in_place)

    def changed(self, case: Case, bits: Host) -> Host:
        """What a check makes of rows of the table for one call, as exact; of that again, what they were."""
        return ~bits

    def change_row(self, case: Case, stored: Stored, row: int) -> None:
        """Change one row of the table, as ``changed`` has it; twice is nothing."""
        bits = stored.arrays.on_host(stored.table[row : row + 1])
        stored.arrays.put_rows(stored.table, [row], self.changed(case, bits), writable=self.in_place)

    def table_differs(self, case: Case, stored: Stored, numbers: Host) -> bool:
        """Whether any of these rows of the table, or what is beside it for them, is not as it is to be."""
        bits = stored.arrays.on_host(stored.table[stored.arrays.beside(numbers)])
        return bool((bits != self.rows(case, numbers)).any())

    def held(self, case: Case, stored: Stored, numbers: Host) -> Array:
        """Rows of the table and what is beside it for them, as ``right`` has them of one ``in_place``."""
        return stored.table[stored.arrays.beside(numbers)]

    def restoring(self, case: Case, stored: Stored, numbers: Host) -> Callable[[], None]:
        """A call that puts rows of the table right, and what is beside it for them.

        It takes nothing from the host, so that a GPU does it in its turn.

        Args:
            numbers: distinct; none where nothing is ``in_place``.
        """
        where, bits = stored.arrays.beside(numbers), stored.arrays.beside(self.rows(case, numbers))

        def restore() -> None:
            stored.table[where] = bits

        return restore

    def settings(self, case: Case) -> dict[str, Any]:
        """What a backend is told beside its operands, by name: plain values."""
        return {}

    def beside(self, case: Case) -> dict[str, Host]:
        """Operands that belong to the table and not to a batch, such as its rows' scales."""
        return {}

    def draw(self, case: Case, ids: Host, seed: int) -> Batch:
        """The operands of one call, from its ids; of any ids of the same shapes."""
        return {"indices": ids}

    def cuts(self, case: Case) -> bool:
        """Whether the user's ids are cut into bags by lengths of their own, for ``of_trace``."""
        return False

    def of_trace(self, case: Case, ids: Host, lengths: Host, turn: int) -> Batch:
        """The operands of a call from ids and the lengths of all bags of their file."""
        return self.draw(case, ids, turn)

    def altered(self, case: Case, batch: Batch, place: int, row: int) -> Batch:
        """A batch with another id at one place: of the operands as few as can be are others then."""
        ids = batch["indices"].copy()
        ids[place] = row
        return {**batch, "indices": ids}

    def touched(self, case: Case, batch: Batch, places: Host) -> Host:
        """The rows of the result that the ids at these places of a batch go into."""
        return places

    @abstractmethod
    def right(self, case: Case, batch: Batch, picked: Host, changed: int | None = None) -> Host:
        """These rows of the right result, as bits, row ``changed`` of the table being ``changed``."""

    def differing(
        self, case: Case, arrays: Arrays, bits: Array, batch: Batch, picked: Host, changed: int | None = None
    ) -> list[int]:
        """Which of these rows of a result, by their place among those picked, are not right, in order.

        Args:
            bits: (picked, columns) of the result, on the device of ``arrays``.
        """
        columns = self.result(case)[1]
        step, found = max(1, CHUNK // columns), list[int]()
        got = arrays.on_host(bits)
        for start in range(0, len(picked), step):
            right = self.right(case, batch, picked[start : start + step], changed)
            bad = (got[start : start + step] != right).any(1)
            found += [start + place for place, is_bad in enumerate(bad.tolist()) if is_bad]
        return found

    def snapshot(self, case: Case, arrays: Arrays, result: Any, picked: Host | None = None) -> Array:
        """The bits of a result as they are now, or of some of its rows, copied.

        Raises:
            TypeError: it is no such result; the message says what it is.
        """
        return arrays.snapshot(result, case, picked)

    def parts(self, result: Any) -> tuple[Any, ...]:
        """The arrays that hold a result, the one that can be ``out`` last."""
        return (result,)

    def facts(self, case: Case, call: Call) -> Facts:
        """What is found out of a backend whose results are right, beside its checks; its telemetry has it."""
        return {}

    def wrong(self, case: Case, batch: Batch, row: int) -> str:
        """What a wrong row of the result is not, in words."""
        return "what it should be"


CHUNK = 2**20
"""Elements that are compared at once."""
