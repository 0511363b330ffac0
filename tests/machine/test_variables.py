"""What becomes of each variable of the caller in a measuring process."""

from __future__ import annotations

import pytest

from suite.machine import variables


@pytest.mark.parametrize(
    ("name", "fate"),
    [
        ("COV_CORE_SOURCE", "taken away"),
        ("COV_CORE_DATAFILE", "taken away"),
        ("COVERAGE_PROCESS_START", "taken away"),
        ("COVERAGE_PROCESS_CONFIG", "taken away"),
        ("PYTHONTRACEMALLOC", "taken away"),
        ("PYTHONDEVMODE", "taken away"),
        ("PYTHONMALLOC", "taken away"),
        ("PYDEVD_LOAD_VALUES_ASYNC", "taken away"),
        ("DEBUGPY_RUNNING", "taken away"),
        ("NUMBA_DISABLE_JIT", "taken away"),
        ("NUMBA_OPT", "recorded"),
        ("NUMBA_BOUNDSCHECK", "recorded"),
        ("NUMBA_CPU_NAME", "recorded"),
        ("TORCHDYNAMO_DISABLE", "recorded"),
        ("TORCHINDUCTOR_MAX_AUTOTUNE", "recorded"),
        ("ATEN_CPU_CAPABILITY", "recorded"),
        ("NPY_DISABLE_CPU_FEATURES", "recorded"),
        ("MALLOC_ARENA_MAX", "recorded"),
        ("GLIBC_TUNABLES", "recorded"),
        ("LD_PRELOAD", "recorded"),
        ("CUDA_LAUNCH_BLOCKING", "recorded"),
        ("CUDA_HOME", "passed"),
        ("PATH", "passed"),
        ("LC_ALL", "passed"),
        ("NVIDIA_API_KEY", "taken away"),
    ],
)
def test_each_is_passed_recorded_or_taken_away(name: str, fate: str) -> None:
    rule = variables.fate(name)
    assert rule is not None and rule.fate == fate
    assert (name in variables.passed_on({name: "1"})) is (fate != "taken away")
    assert (name in variables.recorded({name: "1"}, ())) is (fate == "recorded")


def test_what_no_rule_names_is_not_passed_on() -> None:
    assert variables.passed_on({"SOME_HOOK": "1", "PATH": "/bin"}) == {"PATH": "/bin"}


def test_no_secret_is_named_among_those_taken_away() -> None:
    assert variables.taken_away({"HF_TOKEN": "x", "PYTHONDEVMODE": "1", "X": "1"}) == ["PYTHONDEVMODE"]


def test_every_rule_has_a_reason() -> None:
    assert all(rule.why for rule in variables.TABLE)
