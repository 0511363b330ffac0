"""The plain copies: a library that can't be loaded, for whatever reason, takes only its own away."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from backends import choose
from suite.cases.case import Case
from suite.engine import ceiling
from suite.engine.measure import Settings
from suite.records.device import CPU
from suite.worker.messages import Job
from suite.worker.supervisor import Supervisor
from tests.support import ROOT


class Broken:
    """A finder of modules that fails for one name."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name, self.error = name, error

    def find_spec(self, name: str, *_: Any) -> None:
        if name == self.name:
            raise self.error


ERRORS = [OSError("version not found"), SystemError("failed"), AttributeError("none"), KeyError("cpu")]


@pytest.mark.parametrize("library", ["torch", "backends.numba_cpu"])
@pytest.mark.parametrize("error", [*ERRORS, ImportError("x")], ids=lambda error: type(error).__name__)
def test_the_copy_of_numpy_is_left(monkeypatch: pytest.MonkeyPatch, library: str, error: Exception) -> None:
    monkeypatch.delitem(sys.modules, library, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(library, error), *sys.meta_path])
    assert "copy_numpy" in ceiling._plain_copies(CPU)
    assert "copy_rows" not in ceiling._plain_copies(CPU)


def test_a_backend_whose_library_fails_in_loading_is_unavailable_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, body in {
        "torch": 'raise OSError("wrong libstdc++")',
        "numba": 'raise SystemError("no")',
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    supervisor = Supervisor(30.0, 2**32, 1)
    backends = tuple(map(choose, ("numpy_take", "torch_index_select", "numba_cpu")))
    try:
        job = Job(Case(100, 8), CPU, backends, "m", Settings(limit_s=0.2, cache_bytes=2**20))
        found = {record.backend: record for record in supervisor.measure(job)}
    finally:
        supervisor.close()
    assert found["numpy_take"].status == "ok"
    for name, why in {
        "torch_index_select": "OSError: wrong libstdc++",
        "numba_cpu": "can't be loaded",
    }.items():
        assert found[name].status == "unavailable"
        assert why in (found[name].reason or "")
