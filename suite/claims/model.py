"""Models whose layers the claims time: Llama's kind, by their published configurations. Pure values."""

from __future__ import annotations

from dataclasses import dataclass

from suite import case


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
    return Model(name, *case.MODELS[name], layers, heads, kv_heads, head_dim, hidden)


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
