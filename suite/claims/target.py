"""The target of the claims: a model whose table and layers they time, and the device it is on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from suite.cases import presets

if TYPE_CHECKING:
    from suite.claims.task import Spec


@dataclass(frozen=True, slots=True)
class Model:
    """A decoder of RMSNorm, rotary positions, grouped-query attention and a gated feed-forward.

    Attributes:
        layers: how many alike. heads, kv_heads, head_dim: of the attention.
        hidden: width of the feed-forward.
    """

    name: str
    vocab: int
    dim: int
    dtype: str
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int

    @property
    def products(self) -> tuple[tuple[int, int], ...]:
        """(columns, inputs) of one layer's matrices: query-key-value, output, gate-up, down."""
        attended = self.heads * self.head_dim
        fused = attended + 2 * self.kv_heads * self.head_dim
        return (
            (fused, self.dim),
            (self.dim, attended),
            (2 * self.hidden, self.dim),
            (self.dim, self.hidden),
        )


def _model(name: str, layers: int, heads: int, kv_heads: int, head_dim: int, hidden: int) -> Model:
    return Model(name, *presets.MODELS[name], layers, heads, kv_heads, head_dim, hidden)


MODELS = {
    one.name: one
    for one in (
        _model("qwen3-0.6b", 28, 16, 8, 128, 3072),
        _model("qwen3-4b", 36, 32, 8, 128, 9728),
        _model("qwen3-8b", 36, 32, 8, 128, 12288),
        _model("qwen3-32b", 64, 64, 8, 128, 25600),
        _model("mistral-7b", 32, 32, 8, 128, 14336),
        _model("mistral-nemo", 40, 32, 8, 128, 14336),
        _model("qwen2.5-7b", 28, 28, 4, 128, 18944),
        _model("qwen2.5-72b", 80, 64, 8, 128, 29568),
        _model("llama-2-7b", 32, 32, 32, 128, 11008),
        _model("llama-3-8b", 32, 32, 8, 128, 14336),
        _model("llama-3-70b", 80, 64, 8, 128, 28672),
        _model("llama-3.1-405b", 126, 128, 8, 128, 53248),
    )
}

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
