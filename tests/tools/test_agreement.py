"""The scripts that hold the suite against other harnesses: what they ask of them, and what they print."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from suite.cases.case import Case
from suite.engine.arrays import CudaArrays
from suite.records.device import Device
from tests.tools import agreement, agreement_gpu

pytestmark = pytest.mark.long

torch = pytest.importorskip("torch")

CASE = Case(5000, 33, "bfloat16", 40)


def module(name: str, **contents: Any) -> ModuleType:
    made = ModuleType(name)
    made.__spec__ = ModuleSpec(name, None)
    vars(made).update(contents)
    return made


class Bench:
    """As much of NVBench's Python module as is used: it runs what was registered, on a stream of its own."""

    def __init__(self) -> None:
        self.named: dict[str, Callable[[Any], None]] = {}
        self.argv: list[str] = []

    def register(self, function: Callable[[Any], None]) -> Any:
        benchmark = Mock()
        benchmark.set_name.side_effect = lambda name: self.named.update({name: function}) or benchmark
        return benchmark

    def run_all_benchmarks(self, argv: list[str]) -> None:
        self.argv = argv
        stream = SimpleNamespace(addressof=lambda: 77)
        for function in self.named.values():
            state = Mock(get_stream=lambda: stream)
            state.exec = lambda launch, batched: launch(None)
            function(state)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The GPU's part on host tensors, do_bench and NVBench stood in for."""
    monkeypatch.setattr(torch.cuda, "set_device", lambda place: None)
    arrays = CudaArrays(Device("cuda", 0))
    arrays.place = torch.device("cpu")
    monkeypatch.setattr("suite.engine.arrays.arrays_on", lambda device: arrays)
    monkeypatch.setattr(agreement_gpu, "BACKENDS", ("torch_index_select", "fbgemm_gather"))

    def do_bench(lookup: Callable[[], Any], warmup: int, rep: int, return_mode: str) -> float:
        assert return_mode == "median" and lookup().shape == (40, 33)
        return 0.25

    made = Bench()
    centers = SimpleNamespace(centers=lambda estimator: {"Device=0": estimator([1e-4, 2e-4, 9e-4])})
    result = SimpleNamespace(from_json=lambda path: {"torch_index_select": centers})
    fakes = {
        "triton": {},
        "triton.testing": {"do_bench": do_bench},
        "cuda": {"bench": made},
        "cuda.bench": {},
        "cuda.bench.results": {"BenchmarkResult": result},
    }
    for name, contents in fakes.items():
        monkeypatch.setitem(sys.modules, name, module(name, **contents))
    return made


def test_both_others_time_the_same_lookup(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(torch.cuda, "ExternalStream", lambda address, device: seen.append(address))
    monkeypatch.setattr(torch.cuda, "stream", Mock(return_value=Mock(__enter__=Mock(), __exit__=Mock())))
    found = agreement_gpu.of_the_others(CASE)
    assert found == {"torch_index_select": {"do_bench": 0.25e-3, "NVBench": 2e-4}}
    assert seen == [77] and list(bench.named) == ["torch_index_select"]
    assert bench.argv[3] == "--jsonbin"


def test_without_nvbench_do_bench_is_left(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement_gpu, "find_spec", lambda name: None)
    assert agreement_gpu.of_the_others(CASE) == {"torch_index_select": {"do_bench": 0.25e-3}}


def test_a_difference_is_relative_to_the_other_and_has_its_pairs() -> None:
    ours = [{"a": {"suite": s}} for s in (1.1e-4, 1.0e-4, 1.0e-4)]
    theirs = [{"a": {"do_bench": s}} for s in (1.0e-4, 1.0e-4, 1.25e-4)]
    words = agreement.said("a", ours, theirs)
    assert words == ["suite 100.0 us", "do_bench 100.0 us (+0.0%; pairs -20.0% to +10.0%)"]


def test_no_gpu_is_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement_gpu, "probe", lambda index: "none")
    assert agreement_gpu.main(1) == 2
    assert capsys.readouterr().err == "gpu 0: not there, none\n"


def test_what_is_compared_is_long_and_cold() -> None:
    for case in agreement_gpu.CASES:
        assert case.cache == "cold" and case.payload_bytes / 3.35e12 > 75e-6
