"""Target of the claims: the model whose table and layers are timed, and the device they are timed on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from suite.cases import presets
from suite.records.device import Device

if TYPE_CHECKING:
    from suite.claims.task import Spec


@dataclass(frozen=True, slots=True)
class Model:
    """A decoder of RMSNorm, rotary positions, grouped-query attention and a gated feed-forward.

    Attributes:
        layers: number of layers, all alike. heads, kv_heads, head_dim: of the attention.
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
    model.name: model
    for model in (
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
    """A claim can't be judged on this machine; one line: what is missing, and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """A model on a device.

    Attributes:
        vocab: rows of the table that is measured: the model's, or fewer where memory is short.
        memory_bytes: what may be used. cache_bytes: size of the last-level cache.
    """

    device: Device
    model: Model
    vocab: int
    memory_bytes: int
    cache_bytes: int
    threads: int
    seed: int

    @classmethod
    def fitting(
        cls, device: Device, model: str, memory_bytes: int, cache_bytes: int, threads: int, seed: int
    ) -> Target:
        """A model on a device, with as many of its rows as memory has room for."""
        shape = MODELS[model]
        vocab = shape.vocab
        while vocab > LEAST_ROWS and ROOM * vocab * 2 * shape.dim > memory_bytes:
            vocab //= 2
        return cls(device, shape, vocab, memory_bytes, cache_bytes, threads, seed)

    def of_at_most(self, most_bytes: int) -> Target:
        """The same with its rows halved until the table is no larger than that."""
        vocab = self.vocab
        while vocab * self.row_bytes > most_bytes:
            vocab //= 2
        return replace(self, vocab=vocab)

    @property
    def table_bytes(self) -> int:
        """Bytes of the table that is measured."""
        return self.vocab * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """Bytes of one row; every model here has elements of two bytes."""
        return 2 * self.model.dim

    @property
    def table(self) -> str:
        """The table that is measured, in words."""
        return f"{self.vocab} × {self.model.dim} {self.model.dtype}"

    @property
    def notes(self) -> tuple[str, ...]:
        """A note that the table is smaller than the model's; none where it is not."""
        if self.vocab == self.model.vocab:
            return ()
        whole = f"{self.model.name} has {self.model.vocab:,} rows"
        return (f"{whole}; memory is short, so this was measured on {self.vocab:,} rows of that width",)

    def spec(self, **more: object) -> Spec:
        """The target as JSON for a child process, with more values beside it."""
        return {**asdict(self), "device": str(self.device), **more}


def target_of(spec: Spec) -> Target:
    """The target that a child process was given."""
    values = {name: spec[name] for name in Target.__slots__}
    return Target(**values | {"device": Device.of(spec["device"]), "model": Model(**spec["model"])})
