"""Tables by formula, ids by law, batches kept apart, outputs between guards, cases in order."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.cases import ids
from suite.cases.case import AXES, CACHES, DTYPE_BYTES, INDEX_BYTES, MAX_SIZE, Case, Sweep, plan
from suite.cases.presets import MODELS, PRESETS, model_sweep
from suite.engine import formula, rotation
from suite.engine.arrays import HostArrays
from suite.engine.operands import GUARD_BYTE, GUARD_BYTES, build_table, lay_out

Ints = npt.NDArray[Any]
DTYPES = tuple(DTYPE_BYTES)


def empty(shape: tuple[int, ...]) -> Ints:
    return np.empty(shape, np.int32)


def rows_of(rows: Ints, dim: int, dtype: str, chunk: int = formula.HOST_CHUNK) -> Ints:
    """All the expected rows at once: (len(rows), dim) int32, sign-extended bits."""
    found = np.full((len(rows), dim), 0x5A5A5A5A, np.int32)
    for where, bits in formula.expected(rows, dim, dtype, empty, chunk):
        found[where] = bits
    return found


# --- the formula --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_and_torch_give_the_same_bits(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    numbers = np.array([0, 1, 2, 31999, 2**31 - 1, 2**31, 2**32 + 5, 2**40], np.int64)
    for dim, chunk in ((1, 3), (129, 300), (1601, 10**6)):
        there = torch.full((len(numbers), dim), 7, dtype=torch.int32)
        make = lambda shape: torch.empty(shape, dtype=torch.int32)  # noqa: E731
        for where, bits in formula.expected(torch.from_numpy(numbers), dim, dtype, make, chunk):
            there[where] = bits
        assert np.array_equal(there.numpy(), rows_of(numbers, dim, dtype, chunk))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_value_far_in_a_table_has_stood_since_method_1(dtype: str) -> None:
    """The formula is part of the method: records of one method had the same tables."""

    def mixed(x: int) -> int:
        x = ((x ^ x >> 16) * 0x7FEB352D) & 0xFFFFFFFF
        x = ((x ^ x >> 15) * 0x846CA68B) & 0xFFFFFFFF
        return x ^ x >> 16

    for row, column in ((0, 0), (5, 3), (128255, 4095), (2**31 + 7, 0)):
        bits = mixed((mixed(row & 0xFFFFFFFF) + (column + 1) * 0x9E3779B1) & 0xFFFFFFFF)
        mask = formula._NOT_FINITE.get(dtype, 0)
        if mask and bits & mask == mask:
            bits ^= 0x40000000
        width = 8 * DTYPE_BYTES[dtype]
        right = bits >> (32 - width)
        right -= (right >> (width - 1)) << width
        assert rows_of(np.array([row]), column + 1, dtype)[0, column] == right


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_bit_is_filled_and_every_value_finite(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    table = build_table(HostArrays(), 4001, 129, dtype)
    width = 8 * DTYPE_BYTES[dtype]
    unsigned = table.view(f"u{width // 8}").reshape(-1)
    for bit in range(width):
        share = float(((unsigned >> bit) & 1).mean())
        assert 0.4 < share < 0.6, f"bit {bit} is set in {share:.0%}"
    if dtype != "int8":
        values = torch.from_numpy(table).view(getattr(torch, dtype)).float()
        assert bool(torch.isfinite(values).all())
    if width == 8:
        assert len(np.unique(unsigned)) >= 254, "all but the two float8 NaNs"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [64, 129])
def test_rows_are_distinct(dtype: str, dim: int) -> None:
    bits = rows_of(np.arange(50257), dim, dtype).astype(f"i{DTYPE_BYTES[dtype]}")
    assert len(np.unique(bits.view(f"V{dim * DTYPE_BYTES[dtype]}"))) == 50257


def test_neighbours_share_nothing() -> None:
    """A row taken for its neighbour, or shifted by a column, has hardly a right element."""
    bits = rows_of(np.arange(1000), 256, "int8")
    for other in (bits[1:, :] == bits[:-1, :], bits[:, 1:] == bits[:, :-1], bits[1:, 1:] == bits[:-1, :-1]):
        assert other.mean() == pytest.approx(1 / 256, rel=0.1)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.integers(0, 2**40), min_size=1, max_size=40),
    dim=st.integers(1, 300),
    dtype=st.sampled_from(DTYPES),
    chunk=st.integers(1, 5000),
)
def test_chunks_change_nothing(rows: list[int], dim: int, dtype: str, chunk: int) -> None:
    numbers = np.array(rows, np.int64)
    whole = rows_of(numbers, dim, dtype)
    assert np.array_equal(rows_of(numbers, dim, dtype, chunk), whole)
    one_by_one = np.concatenate([rows_of(numbers[k : k + 1], dim, dtype) for k in range(len(rows))])
    assert np.array_equal(one_by_one, whole)
    assert np.array_equal(rows_of(numbers, 1, dtype), whole[:, :1]), "nor does the width of the table"


def test_a_table_is_the_formula_and_read_only() -> None:
    table = build_table(HostArrays(), 3001, 17, "float16")
    assert table.dtype == np.int16
    assert np.array_equal(table, rows_of(np.arange(3001), 17, "float16"))
    assert table.ctypes.data % 64 == 0


@pytest.mark.parametrize("offset", [2, 16, 62, 4094])
def test_a_table_off_its_alignment_is_the_same_and_read_only(offset: int) -> None:
    arrays = HostArrays()
    table = build_table(arrays, 3001, 17, "float16", offset)
    assert table.ctypes.data % 4096 == offset
    assert np.array_equal(table, rows_of(np.arange(3001), 17, "float16"))
    start, end = arrays.span(table)
    assert not writable(start) and not writable(end - 1), "its first and last page are protected too"
    arrays.invert_row(table, 3000)
    assert not writable(start) and not writable(end - 1), "and are so again after a row was turned over"


def test_a_large_table_lies_on_huge_pages_and_stays_there() -> None:
    """A lookup is slower without them, and turning a row over must not break them up."""
    choice = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not choice.is_file() or "[never]" in choice.read_text():
        pytest.skip("the kernel gives no huge pages")
    arrays = HostArrays()
    table = build_table(arrays, 2**20, 64, "int8")
    before = arrays.huge_pages(table)
    assert before is not None and before > 0.9
    for row in range(0, len(table), 2**15):
        arrays.invert_row(table, row)
    assert arrays.huge_pages(table) == before
    assert arrays.huge_pages(build_table(arrays, 100, 64, "int8")) == 0.0


def writable(address: int) -> bool:
    """Whether this process may write to an address."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, access = line.split()[:2]
        first, end = (int(one, 16) for one in span.split("-"))
        if first <= address < end:
            return "w" in access
    raise AssertionError("not mapped")


def test_shares_of_parallel_work_cover_all_rows_once() -> None:
    numbers = list(range(4097))
    for rows in (1, 2, 7, 1000, 4097):
        parts = formula.parallel(numbers.__getitem__, rows)
        assert list(itertools.chain.from_iterable(parts)) == numbers[:rows]


def test_an_inverted_row_is_inverted_and_comes_back() -> None:
    arrays = HostArrays()
    table = build_table(arrays, 100, 33, "int8")
    before = table.copy()
    arrays.invert_row(table, 42)
    assert np.array_equal(table[42], ~before[42])
    assert np.array_equal(np.delete(table, 42, 0), np.delete(before, 42, 0))
    arrays.invert_row(table, 42)
    assert np.array_equal(table, before)


# --- the laws of ids ----------------------------------------------------------------------------------


def drawn(law: str, batch: int, vocab: int = 128256, turn: int = 0, seed: int = 0, **more: Any) -> Ints:
    return ids.draw(Case(vocab, 8, batch=batch, distribution=law, **more), turn, seed)


@pytest.mark.parametrize(("vocab", "exponent"), [(1000, 1.0), (1000, 1.2), (5003, 0.7), (7, 2.0)])
def test_zipf_is_the_exact_bounded_law(vocab: int, exponent: float) -> None:
    draws = 200_000
    counts = np.bincount(drawn(f"zipf-{exponent}", draws, vocab), minlength=vocab)
    weights = np.arange(1, vocab + 1) ** -exponent
    right = draws * weights / weights.sum()
    found = np.sort(counts)[::-1]
    # By rank of the law, not of the count: find the rank of every id through the step that strews them.
    ranked = counts[np.arange(vocab) * ids._coprime(vocab, 0.3819660113) % vocab]
    chi_square = float((((ranked - right) ** 2) / right).sum())
    assert abs(chi_square - (vocab - 1)) < 5 * math.sqrt(2 * (vocab - 1)) + 5
    assert found[0] == pytest.approx(right[0], rel=0.03)


def test_zipf_without_an_exponent_is_the_first_power() -> None:
    for left, right in (("zipf", "zipf-1"), ("zipf", "zipf-1.0")):
        assert np.array_equal(drawn(left, 4096), drawn(right, 4096))
    assert not np.array_equal(drawn("zipf", 4096), drawn("zipf-1.05", 4096))


def test_frequent_ids_are_strewn_over_the_table() -> None:
    found, counts = np.unique(drawn("zipf", 65536), return_counts=True)
    top = np.sort(found[np.argsort(counts)[-64:]])
    assert np.diff(top).max() < 128256 / 8, "no eighth of the table without one"
    assert np.diff(top).min() > 64, "no two of them side by side"


@pytest.mark.parametrize(
    ("law", "batch", "percent"),
    [
        ("zipf", 512, 68),
        ("zipf", 8192, 46),
        ("zipf", 65536, 29),
        ("uniform", 512, 99.8),
        ("uniform", 8192, 97),
        ("uniform", 65536, 78),
    ],
)
def test_distinct_fractions_at_the_size_of_a_language_model(law: str, batch: int, percent: float) -> None:
    """The expectation is exact: a row is missed with (1 - p) ** batch."""
    vocab = 128256
    chances = 1 / np.arange(1, vocab + 1) if law == "zipf" else np.ones(vocab)
    missed = batch * np.log1p(-chances / chances.sum())
    expected = float(-np.expm1(missed).sum()) / batch
    found = float(np.mean([len(np.unique(drawn(law, batch, turn=turn))) for turn in range(30)])) / batch
    assert found == pytest.approx(expected, abs=0.01)
    assert 100 * found == pytest.approx(percent, abs=1)


def test_uniform_is_uniform() -> None:
    counts = np.bincount(drawn("uniform", 300_000, 1000), minlength=1000)
    chi_square = float(((counts - 300) ** 2 / 300).sum())
    assert abs(chi_square - 999) < 5 * math.sqrt(2 * 999)


def test_sorted_and_equal_are_what_they_say() -> None:
    assert np.all(np.diff(drawn("sorted", 5000)) >= 0)
    assert len(np.unique(drawn("sorted", 5000))) > 4800
    assert len(np.unique(drawn("equal", 5000))) == 1
    assert len({int(drawn("equal", 5, turn=turn)[0]) for turn in range(20)}) > 15


def test_text_comes_in_windows_that_follow_each_other() -> None:
    windows = [drawn("text", 512, turn=turn) for turn in range(8)]
    assert np.array_equal(np.concatenate(windows), drawn("text", 8 * 512))
    assert 0.02 < len(np.unique(drawn("text", 65536))) / 65536 < 0.2, "text repeats itself"
    stream = ids._text(False)
    wrapped = drawn("text", len(stream) + 100)
    assert np.array_equal(wrapped[:100], wrapped[-100:]), "and begins again at its end"


def test_shuffled_text_has_the_tokens_and_not_the_order() -> None:
    length = len(ids._text(False))
    text, shuffled = drawn("text", length), drawn("text-shuffled", length)
    assert np.array_equal(np.sort(text), np.sort(shuffled))
    assert not np.array_equal(text, shuffled)
    short = [len(np.unique(drawn(law, 512))) for law in ("text", "text-shuffled")]
    assert short[0] < short[1], "a page repeats its words more than a draw from all pages"


def test_text_fits_a_smaller_vocab() -> None:
    assert drawn("text", 10_000, vocab=1000).max() < 1000


@pytest.mark.parametrize("law", ["uniform", "zipf", "zipf-0.8", "text", "text-shuffled", "sorted", "equal"])
@pytest.mark.parametrize("index_dtype", INDEX_BYTES)
def test_the_same_arguments_give_the_same_ids(law: str, index_dtype: str) -> None:
    one = drawn(law, 777, 5000, turn=3, seed=9, index_dtype=index_dtype)
    assert one.dtype == index_dtype
    assert one.shape == (777,)
    assert one.min() >= 0
    assert one.max() < 5000
    assert np.array_equal(one, drawn(law, 777, 5000, turn=3, seed=9, index_dtype=index_dtype))
    assert not np.array_equal(one, drawn(law, 777, 5000, turn=4, seed=9, index_dtype=index_dtype))
    if not law.startswith("text"):
        assert not np.array_equal(one, drawn(law, 777, 5000, turn=3, seed=10, index_dtype=index_dtype))


@pytest.mark.parametrize("vocab", [1, 2, 3])
@pytest.mark.parametrize("law", ["uniform", "zipf", "text", "sorted", "equal"])
def test_the_smallest_tables_have_ids(law: str, vocab: int) -> None:
    assert set(drawn(law, 50, vocab)) <= set(range(vocab))
    for batch in ids.draw_apart(Case(vocab, 1, batch=4, distribution=law), 3, 0):
        assert set(batch) <= set(range(vocab))


@given(vocab=st.integers(1, 10**7), share=st.floats(0.01, 0.99))
def test_a_step_visits_every_row(vocab: int, share: float) -> None:
    assert math.gcd(ids._coprime(vocab, share), vocab) == 1


@settings(max_examples=80, deadline=None)
@given(
    vocab=st.integers(1, 3000),
    batch=st.integers(1, 400),
    turns=st.integers(1, 12),
    law=st.sampled_from(["uniform", "zipf", "text", "sorted", "equal"]),
    seed=st.integers(0, 5),
)
def test_batches_apart_keep_their_law_and_share_no_row(
    vocab: int, batch: int, turns: int, law: str, seed: int
) -> None:
    case = Case(vocab, 8, batch=batch, distribution=law)
    apart = ids.draw_apart(case, turns, seed)
    assert len(apart) == turns
    seen: set[int] = set()
    used = 0
    for turn, rows in enumerate(apart):
        law_says = ids.draw(case, turn, seed)
        assert np.array_equal(ranks(rows), ranks(law_says)), "order and repeats are those of the law"
        distinct = set(rows.tolist())
        assert distinct <= set(range(vocab))
        used += len(distinct)
        if used <= vocab:
            assert not distinct & seen, "a row of an earlier turn while there were fresh ones"
        seen |= distinct


def ranks(batch: Ints) -> Ints:
    return np.unique(batch, return_inverse=True)[1]


def test_batches_apart_are_strewn_over_the_table() -> None:
    rows = np.unique(ids.draw_apart(Case(1_000_000, 8, batch=1000), 4, 0)[2])
    assert np.diff(rows).max() < 1_000_000 / 100
    assert rows.min() < 10_000
    assert rows.max() > 990_000


def test_ids_of_a_table_beyond_31_bits() -> None:
    vocab = 2**33 + 1
    case = Case(vocab, 1, "int8", batch=64)
    first, second = ids.draw_apart(case, 2, 0)
    assert first.min() >= 0
    assert max(first.max(), second.max()) < vocab
    assert max(first.max(), second.max()) > 2**32
    assert not set(first.tolist()) & set(second.tolist())
    edges = ids.draw_edges(case, 0)
    assert (edges[0], edges[-1]) == (vocab - 1, 0)


def test_edges_hold_the_last_row_and_the_first() -> None:
    assert list(ids.draw_edges(Case(500, 8, batch=1), 3)) == [499]
    assert list(ids.draw_edges(Case(500, 8, batch=2), 3)) == [499, 0]


# --- the user's own ids -------------------------------------------------------------------------------


def test_ids_are_read_from_text_and_npy(tmp_path: Path) -> None:
    text = tmp_path / "token ids é.txt"
    text.write_text("3 1\n\t4\r\n1 5\n")
    assert ids.read_file(str(text)).tolist() == [3, 1, 4, 1, 5]
    for dtype in ("uint8", "int16", ">i4", "uint64", "int64"):
        array = tmp_path / "ids.npy"
        np.save(array, np.array([[3, 1], [4, 1]], dtype))
        found = ids.read_file(str(array))
        assert found.dtype == np.int64
        assert found.tolist() == [3, 1, 4, 1]
    np.save(tmp_path / "fortran.npy", np.asfortranarray([[3, 1], [4, 1]]))
    assert ids.read_file(str(tmp_path / "fortran.npy")).tolist() == [3, 1, 4, 1]
    case = Case(10, 4, batch=3, distribution="file:x", index_dtype="int32")
    windows = [ids.draw(case, turn, 0, ids.read_file(str(text))).tolist() for turn in range(3)]
    assert windows == [[3, 1, 4], [1, 5, 3], [1, 4, 1]], "in order, and again from the start"


def test_ids_that_no_table_of_this_size_has() -> None:
    assert ids.out_of_range(np.array([0, 99]), 100) is None
    for bad in ([0, 100], [-1, 5]):
        reason = ids.out_of_range(np.array(bad), 100)
        assert reason is not None
        assert "0 to 99" in reason


# --- slots and guards ---------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    dim=st.integers(1, 200),
    batch=st.integers(1, 60),
    slots=st.integers(1, 5),
    dtype=st.sampled_from(DTYPES),
    index_dtype=st.sampled_from(tuple(INDEX_BYTES)),
)
def test_slots_and_guards_do_not_overlap(
    dim: int, batch: int, slots: int, dtype: str, index_dtype: str
) -> None:
    arrays = HostArrays()
    case = Case(50, dim, dtype, batch, index_dtype)
    table = build_table(arrays, *case.table)
    batches = ids.draw_apart(case, slots, 0)
    field = lay_out(case, arrays, table, batches)
    spans = []
    for slot, drawn_ids in zip(field.slots, batches, strict=True):
        assert np.array_equal(slot.indices, drawn_ids)
        assert slot.out.shape == (batch, dim)
        assert slot.out.nbytes == case.rows_bytes
        for array in (slot.out, slot.indices):
            assert array.ctypes.data % 64 == 0
        assert arrays.span(slot.guards[0])[1] == arrays.span(slot.out)[0], "no gap before the rows"
        assert arrays.span(slot.guards[1])[0] == arrays.span(slot.out)[1], "nor after"
        assert min(guard.nbytes for guard in slot.guards) >= GUARD_BYTES
        assert all((guard == GUARD_BYTE).all() for guard in slot.guards)
        spans += [arrays.span(a) for a in (slot.out, slot.indices, *slot.guards)]
    spans.append(arrays.span(table))
    spans.sort()
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))


def test_operands_come_as_bits_or_as_values_of_the_same_memory() -> None:
    torch = pytest.importorskip("torch")
    arrays = HostArrays()
    for dtype in DTYPES:
        case = Case(50, 8, dtype, 4, "int32")
        field = lay_out(case, arrays, build_table(arrays, *case.table), ids.draw_apart(case, 1, 0))
        bits, values = (field.operands(field.slots[0], view) for view in ("bits", "values"))
        assert [type(each) for each in bits] == [np.ndarray] * 3
        assert [each.dtype for each in values] == [getattr(torch, dtype), torch.int32, getattr(torch, dtype)]
        for one, other in zip(bits, values, strict=True):
            assert arrays.span(one) == arrays.span(other)


def test_a_result_of_another_shape_or_width_is_named() -> None:
    case = Case(50, 8, "float32", 4)
    arrays = HostArrays()
    assert arrays.snapshot(np.zeros((4, 8), np.float32), case).dtype == np.int32
    for wrong in (
        np.zeros((8, 4), np.float32),
        np.zeros((4, 8), np.float64),
        np.zeros(32, np.float32),
        [1],
        None,
    ):
        with pytest.raises(TypeError, match="returned "):
            arrays.snapshot(wrong, case)


# --- cases and sweeps ---------------------------------------------------------------------------------


def test_a_sweep_is_the_product_of_its_axes_in_order() -> None:
    sweep = Sweep((10, 20), (4,), ("float32", "int8"), (1, 2), cache=CACHES)
    cases = list(sweep)
    assert len(cases) == len(set(cases)) == 2 * 2 * 2 * 2
    assert cases[0] == Case(10, 4, "float32", 1)
    assert cases == sorted(cases, key=lambda c: (c.vocab, c.dtype != "float32", c.batch, c.cache))


def test_a_plan_has_each_case_once_and_those_of_a_table_together() -> None:
    one, other = Sweep((10,), (4,), batch=(1, 2)), Sweep((20, 10), (4,), batch=(2, 3))
    cases = plan([one, other, one])
    assert [(case.vocab, case.batch) for case in cases] == [(10, 1), (10, 2), (10, 3), (20, 2), (20, 3)]
    for preset in PRESETS.values():
        planned = plan(preset)
        assert len(planned) == len(set(planned))
        tables = [table for table, _ in itertools.groupby(case.table for case in planned)]
        assert len(tables) == len(set(tables)), "no table is built twice"


def test_axes_that_are_given_take_the_place_of_the_presets() -> None:
    cases = plan(PRESETS["smoke"], vocab=(99,), dtype=("int8",), batch=None)
    assert {(case.vocab, case.dtype) for case in cases} == {(99, "int8")}
    assert {case.batch for case in cases} == {1, 17, 512}


@pytest.mark.parametrize("name", MODELS)
def test_models_are_tables_with_decode_and_prefill_batches(name: str) -> None:
    cases = plan([model_sweep(name)])
    assert {case.table for case in cases} == {(*MODELS[name], 0)}
    assert {1, 8192} <= {case.batch for case in cases}


def test_bytes_are_those_of_the_definition() -> None:
    case = Case(1000, 100, "bfloat16", 16, "int32")
    assert (case.row_bytes, case.table_bytes, case.ids_bytes, case.rows_bytes) == (200, 200_000, 64, 3200)
    assert case.payload_bytes == 16 * (4 + 2 * 200)
    assert case.compulsory_bytes(16) == case.payload_bytes
    assert case.compulsory_bytes(1) == 64 + 200 + 3200
    assert case.compulsory_bytes(5) == rotation.touched_bytes(case, 5)


@pytest.mark.parametrize(
    ("axis", "value", "says"),
    [
        *[
            (axis, size, "out of range")
            for axis in ("vocab", "dim", "batch")
            for size in (0, -1, MAX_SIZE + 1)
        ],
        ("dtype", "float64", "float32"),
        ("index_dtype", "int16", "int64"),
        ("cache", "warm", "hot"),
        ("distribution", "zipf-", "uniform"),
        ("distribution", "zipf--1", "uniform"),
        ("distribution", "normal", "zipf-EXPONENT"),
        ("vocab", 2**31 + 1, "int32"),
        ("offset", 2, "multiple of 4 bytes, as float32 needs"),
        ("offset", -4, "from 0 to 4095"),
        ("offset", 4096, "from 0 to 4095"),
    ],
)
def test_a_case_that_cannot_be(axis: str, value: object, says: str) -> None:
    values = {"vocab": 10, "dim": 4, "index_dtype": "int32", axis: value}
    with pytest.raises(ValueError, match=says) as error:
        Case(**values)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_an_offset_is_said_where_there_is_one() -> None:
    plain, off = Case(10, 4), Case(10, 4, offset=12)
    assert "offset" not in str(plain)
    assert str(off) == f"{plain} offset 12"
    assert off.table != plain.table, "it is another table"


def test_the_cliffs_are_there() -> None:
    cases = plan(PRESETS["cliffs"])
    assert len(cases) < 60
    assert {16, 17} <= {case.batch for case in cases}
    assert {16, 32, 64, 128, 256, 512} <= {case.row_bytes for case in cases}
    assert {1, 7, 129, 1601} <= {case.dim for case in cases}
    assert {case.offset % 16 > 0 for case in cases} == {False, True}
    assert {"sorted", "equal"} <= {case.distribution for case in cases}
    for size in ("table_bytes", "rows_bytes"):
        sizes = [getattr(case, size) - 2**31 for case in cases if case.dtype == "int8"]
        assert {one > 0 for one in sizes if abs(one) < 2**14} == {False, True}, (
            f"{size} on both sides of 2^31"
        )


def test_axes_are_the_fields_of_a_case() -> None:
    assert AXES == ("vocab", "dim", "dtype", "batch", "index_dtype", "distribution", "cache", "offset")


# --- cold and hot -------------------------------------------------------------------------------------


def test_hot_is_one_batch_again_and_again() -> None:
    assert rotation.rotation(Case(10**6, 64, cache="hot"), 512, 2**25) == rotation.Rotation(1, sweep=False)


def test_cold_rotates_until_twice_the_cache_has_gone_by() -> None:
    case = Case(10**6, 256, batch=1000)
    touched = rotation.touched_bytes(case, 1000)
    for cache_bytes in (0, 1, touched // 2, touched, 10 * touched, 100 * touched):
        found = rotation.rotation(case, 1000, cache_bytes)
        assert not found.sweep
        assert (found.slots - 1) * touched >= rotation.MARGIN * cache_bytes, "between two uses of one batch"
        assert found.slots == max(2, math.ceil(2 * cache_bytes / touched) + 1)


def test_cold_sweeps_where_the_slots_would_be_too_many() -> None:
    case = Case(10**9, 64, batch=100)
    touched = rotation.touched_bytes(case, 100)
    enough = (rotation.MAX_SLOTS - 1) * touched // rotation.MARGIN
    assert rotation.rotation(case, 100, enough) == rotation.Rotation(rotation.MAX_SLOTS, sweep=False)
    assert rotation.rotation(case, 100, enough + touched) == rotation.Rotation(rotation.MAX_SLOTS, sweep=True)


def test_cold_sweeps_where_the_table_has_too_few_rows() -> None:
    touched = rotation.touched_bytes(Case(1, 64, batch=100), 100)
    need = 11
    cache_bytes = (need - 1) * touched // rotation.MARGIN
    assert rotation.rotation(Case(100 * need, 64, batch=100), 100, cache_bytes) == rotation.Rotation(
        need, False
    )
    few = rotation.rotation(Case(100 * need - 1, 64, batch=100), 100, cache_bytes)
    assert few == rotation.Rotation(need - 1, sweep=True)
    assert rotation.rotation(Case(64, 64, batch=100), 64, cache_bytes) == rotation.Rotation(1, sweep=True)


def test_a_sweep_goes_through_twice_the_cache() -> None:
    arrays = HostArrays()
    made: list[Ints] = []
    bytes_of = arrays.bytes
    arrays.bytes = lambda size: made.append(bytes_of(size)) or made[-1]  # type: ignore[method-assign,func-returns-value]
    sweep = rotation.sweeper(arrays, 10**6)
    sweep()
    sweep()
    assert made[0].nbytes == rotation.MARGIN * 10**6
    assert (made[0] == 2).all(), "every byte is read and written"
