"""Where the claims are put to the test: the device, the table that fits it, and what may be used there."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from suite.claims.model import MODELS, Model
from suite.claims.process import Spec

ROOM = 4
"""A measurement holds the table and copies of parts of it: this many tables' bytes must be free."""
LEAST_ROWS = 4096


class Unmeasured(Exception):
    """A claim can't be judged here: one line, what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """A device and the model asked about.

    Attributes:
        device: ``cpu`` or ``cuda:N``. vocab: rows of the table that is measured, of the model's where
            memory is short. memory_bytes: what may be used. cache_bytes: the last-level cache.
    """

    device: str
    model: Model
    vocab: int
    memory_bytes: int
    cache_bytes: int
    threads: int
    seed: int

    @property
    def table_bytes(self) -> int:
        """Of the table that is measured."""
        return self.vocab * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """Of one row; every model here has elements of two bytes."""
        return 2 * self.model.dim

    @property
    def table(self) -> str:
        """The table that is measured, in words."""
        return f"{self.vocab} × {self.model.dim} {self.model.dtype}"

    @property
    def notes(self) -> tuple[str, ...]:
        """That the table is a smaller one, where it is."""
        if self.vocab == self.model.vocab:
            return ()
        asked = f"{self.model.name} has {self.model.vocab:,} rows"
        return (f"{asked}; memory is short, so this was measured on {self.vocab:,} of that width",)

    def spec(self, **more: object) -> Spec:
        """What a child process must know of it, and more."""
        return {**asdict(self), **more}


def place_of(spec: Spec) -> Place:
    """The place in a child's order."""
    values = {name: spec[name] for name in Place.__slots__}
    return Place(**{**values, "model": Model(**spec["model"])})


def settle(device: str, model: str, memory_bytes: int, cache_bytes: int, threads: int, seed: int) -> Place:
    """The place for a model on a device: as many of its rows as memory has room for."""
    shape = MODELS[model]
    vocab = shape.vocab
    while vocab > LEAST_ROWS and ROOM * vocab * 2 * shape.dim > memory_bytes:
        vocab //= 2
    return Place(device, shape, vocab, memory_bytes, cache_bytes, threads, seed)
