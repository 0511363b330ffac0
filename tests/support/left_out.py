"""A plugin for CI: what passed is noted in a file and not run again; no test may go unrun but for hardware.

``python -m pytest -p tests.support.left_out --passed=FILE`` runs what FILE does not name, and adds to it what
passes. With ``--nothing-skipped`` the session fails if a test was skipped for want of anything but hardware.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

HARDWARE = ("no GPU", "the kernel gives no huge pages", "no network namespaces may be made")
"""How the reasons begin that CI puts up with."""


def pytest_addoption(parser: pytest.Parser) -> None:
    add = parser.getgroup("continuous integration").addoption
    add("--passed", metavar="FILE", type=Path, help="tests that need not run, one a line")
    add("--nothing-skipped", action="store_true", help="fail if a test is skipped but for want of hardware")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LeftOut(config), "left out")


class LeftOut:
    """Selects what has not passed yet, and notes what does now."""

    def __init__(self, config: pytest.Config) -> None:
        self.file: Path = config.getoption("--passed")
        self.strict: bool = config.getoption("--nothing-skipped")
        self.passed: list[str] = []
        self.unrun: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        passed = set(self.file.read_text().splitlines()) if self.file.exists() else set()
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in passed])
        items[:] = [item for item in items if item.nodeid not in passed]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._skipped(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._skipped(report)
        if report.when == "call" and report.passed:
            self.passed.append(report.nodeid)

    def _skipped(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if not reason.startswith(HARDWARE):
                self.unrun.append(f"{report.nodeid}: {reason}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        with self.file.open("a") as file:
            file.writelines(f"{name}\n" for name in self.passed)
        if self.strict and self.unrun and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Any:
        yield
        for line in self.unrun if self.strict else ():
            terminalreporter.write_line(f"skipped, and not for want of hardware: {line}", red=True)
