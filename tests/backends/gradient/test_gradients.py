"""Every gradient of the tree is right on the shapes that break kernels, whatever repeats."""

from __future__ import annotations

import numpy as np
import pytest

from backends import describe, load, missing_packages, names
from backends.gradient.base import Scratch, sorter
from suite.cases import exact
from tests.support.training import SHAPES, verdict

CPU = [n for n in names() if describe(n).operation == "gradient" and "cpu" in describe(n).devices]


@pytest.mark.parametrize("name", CPU)
@pytest.mark.parametrize("variant", ["dense", "sparse"])
def test_it_is_bit_exact_or_refused_with_a_reason(name: str, variant: str) -> None:
    if missing := missing_packages(describe(name).packages):
        pytest.skip(f"needs {', '.join(missing)}")
    for dtype in exact.MOST:
        if dtype in load(name).dtypes:
            for vocab, dim, ids, index_dtype in SHAPES:
                assert verdict(name, variant, (vocab, dim, dtype, index_dtype), ids) is None, (vocab, dim)


def test_there_is_a_library_s_and_a_kernel_of_this_suite_for_each() -> None:
    assert {describe(name).whose for name in CPU} == {"library", "suite"}
    assert {name for name in CPU if "bfloat16" in describe(name).dtypes} >= {"torch_gradient_dense"}


@pytest.mark.parametrize("vocab", [1, 2, 2048, 2049, 2**22 + 3, 2**33 + 5])
def test_segments_are_those_of_a_stable_sort(vocab: int) -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(vocab)
    ids = np.append(rng.integers(0, vocab, 500), [vocab - 1, 0, vocab - 1])
    scratch = Scratch(len(ids), vocab)
    for given in (ids, ids[::-1].copy()):
        found = sorter()(given, *scratch.arguments)
        distinct, starts = np.unique(np.sort(given), return_index=True)
        assert np.array_equal(scratch.order, np.argsort(given, kind="stable"))
        assert np.array_equal(scratch.ids[:found], distinct)
        assert np.array_equal(scratch.starts[: found + 1], [*starts, len(given)])
