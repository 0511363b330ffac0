"""What the tests share: skips with their reasons, and pytest-benchmark as a face of the suite's engine.

Without pytest-benchmark the tests still run, as a machine lent for its GPU may not have it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from suite.machine import lock
from tests.stand_ins.nvml_stub.build import build
from tests.support import commands, measured, operations
from tests.support.browser import Browser, executable
from tests.support.nvml import ON_HOST, Child

LEFT_OUT = pytest.StashKey[Counter[str]]()
"""How many tests of each kind were left out."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """What ``--benchmark-only`` measures; the values are those of ``suite.run``."""
    add = parser.getgroup("lookup benchmarks (with --benchmark-only)").addoption
    add("--gpu", metavar="N", help="measure on this GPU, the reference beside it")
    add("--backend", metavar="NAME|FILE", action="append", default=[], help="only this; may be repeated")
    turns = "measure in this virtual environment too; two or more take turns"
    add("--benchmark-environment", metavar="NAME=PYTHON", action="append", default=[], help=turns)
    add("--operation", metavar="O,…", help="what is computed (default: lookup)")
    add("--preset", metavar="NAME", help="the cases of this preset (default: a minute's choice)")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse in one line what can't be carried out."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Begun in the background by a shell: what tests start would inherit it, and not be interrupted.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[measured.LOCKS] = dict(os.environ)
    # Not the machine's own lock: another's tests, or runs, would be waited for.
    os.environ.setdefault(lock.VARIABLE, tempfile.mkdtemp(prefix="suite-locks-"))
    measured.choose(config)
    measured.sort_by_median(config)
    if measured.wanted(config):
        measured.open_replay(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the worker."""
    if measured.REPLAY in config.stash:
        config.stash[measured.REPLAY].close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests or measurements, not both unless asked; and without a GPU none of what needs one."""
    measures = {item for item in items if "benchmark" in getattr(item, "fixturenames", ())}
    if config.getoption("benchmark_only", False):
        others = [item for item in items if item not in measures]
    else:
        others = [] if measured.wanted(config) else [item for item in items if item in measures]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]
    _skip_without_gpu([item for item in items if item.get_closest_marker("gpu")])


def _skip_without_gpu(items: list[pytest.Item]) -> None:
    if not items:
        return
    from suite.machine.cuda_device import probe

    found = probe(0)
    if isinstance(found, str):
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"no GPU: {found}"))


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count what is left out, for the last lines."""
    for item in items:
        left_out = item.config.stash.setdefault(LEFT_OUT, Counter())
        marks = [name for name in ("long", "slow") if item.get_closest_marker(name)]
        left_out.update(marks[:1])
        measures = "benchmark" in getattr(item, "fixturenames", ()) and not measured.wanted(item.config)
        left_out["measurement"] += measures


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Iterator[None]:
    """Say at the end what was left out, and the command that runs it."""
    yield
    config = terminalreporter.config
    left_out = config.stash.get(LEFT_OUT, Counter())
    lines = {
        "slow: python -m pytest -m '' runs them too": left_out["slow"],
        "long: python -m pytest -m long runs them alone": left_out["long"],
        "measurements: python -m pytest --benchmark-only takes them": left_out["measurement"],
        "skipped for the reasons above: .ci/run installs all but a GPU": len(
            terminalreporter.stats.get("skipped", ())
        ),
    }
    for why, count in lines.items():
        if count:
            terminalreporter.write_line(f"left out, {count} {why}")


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """The suite's facts of the machine, and its digest in place of the host's name."""
    where = measured.open_replay(config).environment
    machine_info["node"] = where.machine
    for name in ("hz_actual", "hz_actual_friendly"):  # of the moment; saved runs would seem another machine's
        machine_info["cpu"].pop(name, None)
    machine_info["embedding_lookup"] = measured.machine_facts(where)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """The whole environment, versions and the state of the moment with it, as a run has it."""
    output_json["environment"] = dataclasses.asdict(measured.open_replay(config).environment)


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_benchmark_compare_machine_info(
    benchmarksession: Any, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
) -> None:
    """Say in a line what the saved run's machine differs in; pytest-benchmark would print both whole."""
    here = json.loads(json.dumps(machine_info))
    names = measured.differing(here, compared_benchmark["machine_info"])
    if names:
        benchmarksession.logger.info(
            f"The machine of the saved run differs in: {', '.join(names)}", newline=False
        )
    compared_benchmark["machine_info"] = machine_info


@pytest.fixture
def pooled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a package were installed that has the operation ``pooled``."""
    operations.install(monkeypatch, operations.POOLED, operations.Pooled)


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the stand-in for NVML's library."""
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser to open pages in, the same for all tests."""
    if executable() is None:
        pytest.skip("no chromium on this machine; Debian's package chromium has it")
    made = Browser(tmp_path_factory.mktemp("browser"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two small cases, not to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    done = commands.command(*commands.FINISHED, "--out", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def host_gpu(nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """A process whose GPU is the host's tensors, with the stand-in for NVML."""
    child = Child(tmp_path_factory.mktemp("child"), nvml_library, PYTHONPATH=ON_HOST, OMP_NUM_THREADS="1")
    yield child
    child.close()
