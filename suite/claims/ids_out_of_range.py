"""The claim about ids that are not in the table: what each installed backend does with them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from backends import describe, missing_packages, names
from suite.claims import rules
from suite.claims.finding import Finding, Table
from suite.claims.judged import finding
from suite.claims.place import Place, Unmeasured
from suite.claims.probe import BATCH, DIM, GUARD, VOCAB
from suite.claims.process import Answer, ask

SECONDS = 45.0
LIMIT_S = 60.0
"""A probe that takes longer hangs."""
OVER = 1.5
"""Probes go on starting for so many times their seconds: a hole in the table is worth less than some time."""
IDS = {"-1": -1, "vocab": VOCAB, "vocab + 5": VOCAB + 5}
NOT_TOLD = "not measured"


def findings(place: Place, seconds: float) -> list[Finding]:
    """The finding: every backend that is installed and runs here, each id in a process of its own.

    Raises:
        Unmeasured: no probe came to an end.
    """
    kind = place.device.partition(":")[0]
    here = [name for name in names() if kind in describe(name).devices]
    installed = [name for name in here if not missing_packages(describe(name).packages)]
    probes = [(name, word) for word in IDS for name in installed]  # something of all, where time is short
    answers = _answers(place, probes, seconds, at_once=max(1, place.threads) if kind == "cpu" else 1)
    did = {one: behaviour(answer) for one, answer in zip(probes, answers, strict=True)}
    told = {one: what for one, what in did.items() if not what.startswith(NOT_TOLD)}
    if not told:
        why = next(iter(did.values()), f"no backend for {kind} is installed")
        raise Unmeasured(f"no probe came out: {why}")
    judged = rules.out_of_range(told)
    return [
        finding("out-of-range", judged, rules.OUT_OF_RANGE, (_table(did, installed, here),), (), _notes())
    ]


def behaviour(answer: Answer) -> str:
    """What a backend did, from how its probe answered and ended."""
    said = answer.lines[-1] if answer.lines else {}
    if "did" in said:
        return str(said["did"])
    if "unavailable" in said:
        return f"{NOT_TOLD}: {said['unavailable']}"
    if "ready" not in said:
        return f"{NOT_TOLD}: {answer.death or 'it did not get ready'}"
    if answer.timed_out:
        return f"hangs: {answer.death}"
    if answer.signal is not None:
        return f"kills the process: {answer.death}"
    return f"ends the process: {answer.death or 'with code 0'}"


def _answers(place: Place, probes: Sequence[tuple[str, str]], seconds: float, at_once: int) -> list[Answer]:
    """Of each probe the answer; several at once, since nothing is timed. None starts after its time."""
    end, cancelled = time.monotonic() + OVER * seconds, threading.Event()

    def answer(probe: tuple[str, str]) -> Answer:
        if time.monotonic() >= end:
            return Answer((), "no time was left")
        backend, word = probe
        spec = {"backend": backend, "id": IDS[word], "device": place.device}
        return ask("probe", spec, LIMIT_S, 1, cancelled)

    with ThreadPoolExecutor(at_once) as pool:
        try:
            return list(pool.map(answer, probes))
        except BaseException:  # an interrupt: let none of those that run go on
            cancelled.set()
            end = 0.0
            raise


def _table(did: dict[tuple[str, str], str], installed: Sequence[str], here: Sequence[str]) -> Table:
    rows = [(name, *(did[name, word] for word in IDS)) for name in installed]
    rows += [(name, *("not installed",) * len(IDS)) for name in here if name not in installed]
    headings = ("backend", *(f"id {word}" for word in IDS))
    return Table("What a lookup does with an id that is not in the table", headings, tuple(rows))


def _notes() -> tuple[str, ...]:
    return (
        f"Each probe: {VOCAB:,} rows of {DIM} float32, {BATCH} ids of which one is not in the table. "
        f"{GUARD // 2**20} MiB before and after the table are filled with rows of their own, so that reading "
        "there is seen, and does no harm; in a program that memory is something else's.",
        "The suite's contract does not ask a backend to check ids: those that do not are no faultier, and "
        "faster.",
        "A library may do otherwise with other shapes, dtypes, devices or versions.",
    )
