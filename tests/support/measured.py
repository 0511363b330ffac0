"""The suite's engine under pytest-benchmark: what is measured, and the clock that tells what it measured."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from suite.cases.case import Case, Sweep, plan
from suite.command import BadRequest, say_wait
from suite.run.options import Request, parse
from suite.run.schedule import LIMITS_S, Task, tasks_of

if TYPE_CHECKING:
    from suite.analysis.outcome import Outcome
    from suite.records.record import Environment
    from suite.run.replay import Replay

REQUEST = pytest.StashKey[Request]()
TASKS = pytest.StashKey[dict[tuple[str, str], Task]]()
"""By device and case, both in words."""
REPLAY = pytest.StashKey["Replay"]()
LOCKS = pytest.StashKey[dict[str, str]]()
"""The variables by which the machine's own lock is found; the tests have another."""

SWEEPS = (
    # A language model's token table, at decoding and at a prompt, and a smaller model's.
    Sweep((32000,), (4096,), ("bfloat16",), (1, 17, 512)),
    Sweep((50257,), (768,), ("float32",), (17, 8192)),
    Sweep((50257,), (768,), ("float32",), (512,), cache=("cold", "hot")),
    # A recommender's, and one whose rows are no multiple of a vector.
    Sweep((1_000_000,), (64,), ("float32",), (8192,), distribution=("uniform", "zipf")),
    Sweep((100_000,), (129,), ("float16",), (8192,)),
)
"""What is measured unless a preset is asked for; with LIMIT_S for each case it takes about a minute."""
LIMIT_S = 3.0

NO_NUMBER_HERE = ("unsupported", "unavailable")
PASSING = ("memory_available_bytes", "swap_used_bytes", "cgroup_memory_free_bytes", "load_")
"""Facts that differ from one minute to the next; pytest-benchmark takes them for another machine."""


class NoNumber(Exception):
    """A backend has no time to show."""


class Clock:
    """A timer for pytest-benchmark that goes forward by what the engine measured, and by nothing else.

    It is set to 0 before every round, so that a round takes what was measured to the last bit.
    """

    __name__ = "suite"

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def reset(self) -> None:
        """Begin again."""
        self.now_s = 0.0


def wanted(config: pytest.Config) -> bool:
    """Whether this session measures; else it tests."""
    return any(config.getoption(name, False) for name in ("benchmark_only", "benchmark_enable"))


def choose(config: pytest.Config) -> None:
    """Put into the session what its options ask for.

    Raises:
        pytest.UsageError: for what can't be carried out, in one line.
    """
    gpu, preset, operation = map(config.getoption, ("gpu", "preset", "operation"))
    # No phase for energy counters: nothing of it would be shown.
    argv = ["--sustain", "0"]
    argv += [word for which in config.getoption("backend") for word in ("--backend", which)]
    argv += [w for which in config.getoption("benchmark_environment") for w in ("--environment", which)]
    argv += [] if gpu is None else ["--gpu", gpu]
    argv += [] if preset is None else ["--preset", preset]
    argv += [] if operation is None else ["--operation", operation]
    try:
        request = parse(argv)
        if preset is None:
            request = replace(request, preset="benchmark", cases=cases(request))
        # Table files are for a run to make and to remove.
        tasks = [task for task in tasks_of(request) if task.case.placement != "file"]
    except BadRequest as error:
        raise pytest.UsageError(str(error)) from None
    if wanted(config) and (config.getoption("dist", "no") != "no" or config.getoption("tx", None)):
        what = "its workers would measure at once, in each other's way"
        raise pytest.UsageError(f"-n: {what}; leave it out, or give -n 0")
    if wanted(config) and config.getoption("benchmark_cprofile"):
        raise pytest.UsageError("--benchmark-cprofile: lookups run in another process; leave it out")
    if config.getoption("benchmark_histogram", None) and find_spec("pygal") is None:
        raise pytest.UsageError("--benchmark-histogram: needs pygal, not installed; pip install pygal")
    config.stash[REQUEST] = request
    config.stash[TASKS] = {(str(task.device), str(task.case)): task for task in tasks}


def cases(request: Request) -> tuple[Case, ...]:
    """A minute's choice of cases, of the operations that are asked for.

    Raises:
        BadRequest: an operation has no such cases.
    """
    operations = tuple(dict.fromkeys(case.operation for case in request.cases))
    try:
        return plan(SWEEPS, operation=operations)
    except ValueError as error:
        raise BadRequest(f"{error}, or a --preset") from None


def sort_by_median(config: pytest.Config) -> None:
    """Sort pytest-benchmark's table by the result unless another order is asked for; its own is by min."""
    words = [*config.invocation_params.args, *os.environ.get("PYTEST_ADDOPTS", "").split()]
    if not any(str(word).startswith("--benchmark-sort") for word in words):
        config.option.benchmark_sort = "median"


def open_replay(config: pytest.Config) -> Replay:
    """The session's one engine; it measures a task when the first of its tests asks.

    Raises:
        pytest.UsageError: the GPU asked for is not there, or an environment can't measure.
    """
    if REPLAY not in config.stash:
        from suite.run.replay import Replay

        request = config.stash[REQUEST]
        limit_s = LIMITS_S.get(request.preset, LIMIT_S)
        tasks, locks = tuple(config.stash[TASKS].values()), config.stash[LOCKS]
        replay = Replay(request, tasks, limit_s, _gpu(request), _teller(config), locks)
        if request.environments:
            try:
                replay.environment  # noqa: B018 - asks the interpreters, once
            except BadRequest as error:
                raise pytest.UsageError(str(error)) from None
        config.stash[REPLAY] = replay
    return config.stash[REPLAY]


def _teller(config: pytest.Config) -> Callable[[str], None]:
    """Says at once, whatever pytest captures, for whom the measurements wait."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def say(who: str) -> None:
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            say_wait("pytest", who)

    return say


def _gpu(request: Request) -> Any:
    if request.gpu is None:
        return None
    from suite.machine.cuda_device import probe

    found = probe(request.gpu)
    if isinstance(found, str):
        raise pytest.UsageError(f"gpu {request.gpu}: not there, {found}; leave out --gpu to measure the CPU")
    return found


def parameters(tasks: Iterable[Task], environments: Iterable[str | None] = (None,)) -> list[Any]:
    """Device, case, backend and environment of every test, in words, as they stand in what is saved."""
    return [
        pytest.param(
            str(task.device),
            str(task.case),
            backend.name,
            name,
            # Without the GPU's number: two GPUs' runs can be compared.
            id="-".join((*filter(None, (backend.name, name)), task.device.kind, _words(str(task.case)))),
        )
        for task in tasks
        for backend in task.backends
        for name in environments
    ]


def short(name: str, case: str) -> str:
    """A test's name without its case."""
    return name.replace(f"-{_words(case)}", "", 1)


def _words(case: str) -> str:
    return "-".join(case.split())


def show(benchmark: Any, clock: Clock, outcome: Outcome, where: Environment) -> None:
    """Let pytest-benchmark see a measurement: a round is the median of one of the engine's rounds.

    A backend that can't do the case skips the test, one that failed fails it.
    """
    from suite.run.replay import figures, seconds

    said = f"{outcome.backend}: {outcome.status}: {outcome.reason}"
    if outcome.status in NO_NUMBER_HERE:
        pytest.skip(said)
    times = seconds(outcome)
    left = iter(times)

    def lookup() -> None:
        if not outcome.completed:
            raise NoNumber
        clock.now_s += next(left)

    benchmark.extra_info.update(figures(outcome, where))
    # What failed raises in there: pytest-benchmark then knows that it ran, and saves nothing of it.
    with contextlib.suppress(NoNumber):
        benchmark.pedantic(lookup, setup=clock.reset, rounds=max(1, len(times)), iterations=1)
    if not outcome.completed:
        pytest.fail(said, pytrace=False)


def machine_facts(where: Environment) -> dict[str, Any]:
    """What makes a machine another one; versions and the state of the moment are not among it."""
    system = {name: fact for name, fact in where.system.items() if not name.startswith(PASSING)}
    return {
        "cpu": dict(where.cpu),
        "system": system,
        "gpu": dict(where.gpu),
        "threads": where.settings["threads"],
    }


def differing(here: Any, there: Any, name: str = "") -> list[str]:
    """Dotted names of what two machines' facts differ in."""
    if isinstance(here, dict) and isinstance(there, dict):
        keys = sorted(here.keys() | there.keys())
        return [d for key in keys for d in differing(here.get(key), there.get(key), f"{name}.{key}")]
    return [] if here == there else [name.removeprefix(".")]
