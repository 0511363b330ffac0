"""Every backend on every case, in pytest-benchmark's table: pytest --benchmark-only."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import measured

CLOCK = measured.Clock()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each backend of each task."""
    tasks = metafunc.config.stash[measured.TASKS].values()
    environments = metafunc.config.stash[measured.REQUEST].interpreters
    names = ("device", "case", "backend", "environment")
    metafunc.parametrize(names, measured.parameters(tasks, environments))


@pytest.mark.timeout(0)  # the engine has limits of its own, and names who exceeded them
@pytest.mark.benchmark(timer=CLOCK)
def test_lookup(
    benchmark: Any,
    device: str,
    case: str,
    backend: str,
    environment: str | None,
    request: pytest.FixtureRequest,
    pytestconfig: pytest.Config,
) -> None:
    """All tests of a case replay the one measurement in which its backends took turns."""
    replay = measured.open_replay(pytestconfig)
    benchmark.name = measured.short(request.node.callspec.id, case)  # the table's heading has the case
    # A kernel's time and a call's don't belong in one table.
    benchmark.group = case if device == "cpu" else f"{case} on {device}"
    outcome = replay.outcome(pytestconfig.stash[measured.TASKS][device, case], backend, environment)
    measured.show(benchmark, CLOCK, outcome, replay.environment)
