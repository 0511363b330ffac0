"""Every update of the tree is right on the shapes that break kernels, whatever repeats."""

from __future__ import annotations

import pytest

from backends import describe, load, missing_packages, names
from suite.cases import exact
from tests.support.training import SHAPES, verdict

CPU = [n for n in names() if describe(n).operation == "update" and "cpu" in describe(n).devices]


@pytest.mark.parametrize("name", CPU)
@pytest.mark.parametrize("variant", ["sgd", "adagrad"])
def test_it_is_bit_exact_or_refused_with_a_reason(name: str, variant: str) -> None:
    if missing := missing_packages(describe(name).packages):
        pytest.skip(f"needs {', '.join(missing)}")
    for dtype in exact.MOST:
        if dtype in load(name).dtypes:
            for vocab, dim, ids, index_dtype in SHAPES:
                assert verdict(name, variant, (vocab, dim, dtype, index_dtype), ids) is None, (vocab, dim)


def test_there_is_a_library_s_and_a_kernel_of_this_suite_for_each() -> None:
    assert {describe(name).whose for name in CPU} == {"library", "suite"}
