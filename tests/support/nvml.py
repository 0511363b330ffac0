"""A child process that asks the real pynvml on a stand-in for the driver's library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import ROOT

STUB = ROOT / "tests/stand_ins/nvml_stub"
GPUS = [f"GPU-a000000{i}-0000-4000-8000-000000000000" for i in range(4)]
MIG = "MIG-11111111-2222-4333-8444-555555555555"
NO_LIBRARY = "NVML library not found: no NVIDIA driver"
ON_HOST = os.pathsep.join((str(ROOT / "tests/stand_ins/host_gpu"), str(ROOT)))
"""Where a process finds modules so that a GPU's lookups run on tensors of the host."""


class Child:
    """A process that sees the stub; what it is asked it evaluates with these settings of the stub."""

    def __init__(self, folder: Path, library: Path, **environ: str) -> None:
        variables = {
            **os.environ,
            "LD_LIBRARY_PATH": str(library),
            "NVML_STUB": str(folder / "settings"),
            "PYTHONPATH": str(ROOT),
            **environ,
        }
        self.process = subprocess.Popen(
            [sys.executable, STUB / "child.py"],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(
        self,
        expression: str,
        settings: dict[str, Any] | None = None,
        environ: dict[str, str] | None = None,
        shortest_gpm_s: float = 0.1,
    ) -> Any:
        request = {
            "expression": expression,
            "settings": settings or {},
            "environ": environ or {},
            "shortest_gpm_s": shortest_gpm_s,
        }
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __call__(self, expression: str, settings: dict[str, Any] | None = None, **more: Any) -> Any:
        answer = self.answer(expression, settings, **more)
        assert "raised" not in answer, answer["raised"]
        return answer["result"]

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(10) == 0, "calls that hang must not keep the process from ending"


def reading(value: Any) -> dict[str, Any]:
    return {"value": value, "reason": None}


def without(reason: str) -> dict[str, Any]:
    return {"value": None, "reason": reason}


SAMPLES_ALIVE = "__import__('pynvml').nvmlLib.stub_samples_alive()"
ENERGY_OF_PHASE = [f"sustained.{figure}" for figure in ("energy_j", "joules_per_lookup", "mean_power_w")]
SURVEY = "at(Gpu.open(), gpm=True)"
OPENED = "(lambda gpu: gpu.unavailable or gpu.identity()['uuid'].value)"
FOUR = {"count": 4}


def opened(child: Child, which: str, settings: dict[str, Any] | None = None, **environ: str) -> Any:
    return child(f"{OPENED}(Gpu.open({which!r}))", settings or FOUR, environ=environ)
