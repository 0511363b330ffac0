"""A GPU as torch sees it, with a torch that stands in for each build there is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from suite.machine import cuda_device
from suite.machine.cuda_device import CudaDevice, probe
from suite.machine.interpreter import stated
from suite.records.device import CPU, Device

PROPERTIES = SimpleNamespace(name="H100", uuid="ab-cd", L2_cache_size=50, total_memory=80)
H100 = CudaDevice("H100", "ab-cd", 50, 80)


def torch(cuda: str | None, hip: str | None, gpus: int) -> Any:
    return SimpleNamespace(
        __version__="9.9",
        version=SimpleNamespace(cuda=cuda, hip=hip),
        cuda=SimpleNamespace(
            is_available=lambda: gpus > 0,
            device_count=lambda: gpus,
            get_device_properties=[PROPERTIES].__getitem__,
        ),
    )


@pytest.mark.parametrize(
    ("cuda", "hip", "gpus", "index", "answer"),
    [
        ("13.2", None, 1, 0, H100),
        (None, "7.0", 1, 0, H100),
        ("13.2", None, 1, 1, "torch sees 1, counted from 0"),
        ("13.2", None, 0, 0, "torch 9.9 finds no NVIDIA GPU or driver"),
        (None, "7.0", 0, 0, "torch 9.9 finds no AMD GPU or driver"),
        (None, None, 0, 0, "torch 9.9 is built for the CPU only"),
    ],
)
def test_what_each_build_of_torch_answers(
    cuda: str | None, hip: str | None, gpus: int, index: int, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch(cuda, hip, gpus))
    assert cuda_device._ask(index) == answer


def test_the_cpu_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch("13.2", None, 1))
    assert cuda_device.cuda_device(CPU) is None
    assert cuda_device.cuda_device(Device.of("cuda:0")) == H100


@pytest.mark.parametrize(
    ("program", "answer"),
    [
        ("print('a warning'); print(json.dumps(H100))", H100),
        ("print('\"no GPU\"')", "no GPU"),
        ("print('no JSON')", "torch could not be asked"),
        ("pass", "torch could not be asked"),
        ("time.sleep(60)", "torch did not answer within 0.5 s"),
    ],
)
def test_what_is_made_of_the_childs_answer(
    program: str, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = subprocess.run

    def stand_in(command: list[str], **options: Any) -> Any:
        assert command[1] == "-P" and command[-3:] == ["-m", "suite.machine.cuda_device", "3"]
        assert options["env"] == stated()
        return run([sys.executable, "-c", f"import json, time; H100 = {asdict(H100)}; {program}"], **options)

    monkeypatch.setattr(subprocess, "run", stand_in)
    monkeypatch.setattr(cuda_device, "LIMIT_S", 0.5)
    assert probe(3) == answer
