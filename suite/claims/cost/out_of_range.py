"""Claim ``out-of-range``: what each backend does with an id that is not in the table."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from backends import (
    Backend,
    BackendUnavailable,
    Lookup,
    Unsupported,
    describe,
    load,
    missing_packages,
    names,
)
from suite.cases.case import Case
from suite.claims.cost import rules
from suite.claims.finding import Finding, Table, finding
from suite.claims.target import Target, Unmeasured
from suite.claims.task import Answer, Spec, ask
from suite.engine.arrays import Arrays, arrays_on
from suite.engine.operands import Operands, lay_out
from suite.records.device import Device
from suite.text import cut

VOCAB, DIM, BATCH, PLACE = 1024, 64, 32, 3
"""The table, its lookup, and where in the batch the id stands that is not in the table."""
IDS_THERE = np.arange(7, 7 + BATCH, dtype=np.int64)
GUARD = 2**20
"""Bytes of known rows before and after the table, so that a read there is recognised."""
OUT_BYTE = 0x33
MESSAGE_LENGTH = 70
"""So much of an error's message is kept."""
DTYPE = "float32"

_PATH = re.compile(r"\S*/\S*")
"""Names of files are left out of messages: they may name a user."""
Bits = npt.NDArray[np.int32]


def probe(spec: Spec) -> Iterator[Any]:
    """Look up ``spec["id"]`` with ``spec["backend"]`` on ``spec["device"]``.

    Yields:
        ``{"unavailable": why}``; or ``{"ready": true}``, then ``{"did": what it did, in words}``.
    """
    backend, device = load(spec["backend"]), Device.of(spec["device"])
    missing = missing_packages(backend.packages)
    if missing:
        yield {"unavailable": f"needs {', '.join(missing)}, not installed"}
        return
    arrays = arrays_on(device)
    try:
        operands, around, lookup = _prepared(backend, arrays)
    except (Unsupported, BackendUnavailable) as error:
        yield {"unavailable": " ".join(str(error).split())}
        return
    slot, ids = operands.slots[0], IDS_THERE.copy()
    ids[PLACE] = spec["id"]
    arrays.put(slot.indices, ids)
    arrays.view(slot.out.reshape(-1), "uint8")[...] = OUT_BYTE
    yield {"ready": True}
    try:
        result = lookup()
        arrays.synchronize()
        rows = _on_host(arrays.snapshot(result, operands.case))
    except Exception as error:
        message = cut(_PATH.sub("…", f"{type(error).__name__}: {error}"), MESSAGE_LENGTH)
        yield {"did": f"raises: {message}{_lost_device(device)}"}
        return
    table = _on_host(operands.table)
    yield {"did": classify(rows[PLACE], table, around, spec["id"]) + _rest(rows, table, ids)}


def _prepared(backend: type[Backend], arrays: Arrays) -> tuple[Operands, Bits, Lookup]:
    """The operands, the rows around the table, and a lookup that was called once on ids of the table."""
    case = Case(VOCAB, DIM, DTYPE, BATCH)
    table, around = _surrounded(arrays, case)
    operands = lay_out(case, arrays, table, [IDS_THERE])
    lookup = operands.prepared(backend(), operands.slots[0])
    lookup()  # compiles, loads, warms up: the next call is the one that is judged
    arrays.synchronize()
    return operands, around, lookup


def _surrounded(arrays: Arrays, case: Case) -> tuple[Any, Bits]:
    """The suite's table between guards, and the rows of each guard, (n, dim) bits."""
    memory = arrays.bytes(2 * GUARD + case.table_bytes)
    row = 4 * DIM
    strange = np.random.default_rng(1).integers(2**29, 2**30, (GUARD // row, DIM)).astype(np.int32)
    for start in (0, GUARD + case.table_bytes):
        arrays.put(arrays.view(memory[start : start + GUARD], "int32").reshape(-1, DIM), strange)
    table = arrays.view(memory[GUARD : GUARD + case.table_bytes], "int32").reshape(VOCAB, DIM)
    arrays.fill_table(table, case.dtype)
    return table, strange


def _on_host(bits: Any) -> Bits:
    return np.array(bits.cpu() if hasattr(bits, "cpu") else bits).view(np.int32)


def classify(row: Bits, table: Bits, around: Bits, number: int) -> str:
    """Say what a returned row is.

    Args:
        row: (dim,) bits of float32. table: (vocab, dim) bits. around: (n, dim) bits of the rows before and
            after the table. number: the id that was looked up.
    """
    if np.isnan(row.view(np.float32)).all():
        return "NaN: a row of it"
    if not row.any():
        return "zeros: a row of them"
    same = np.flatnonzero((table == row).all(axis=1))
    if len(same):
        found = int(same[0])
        if found == number % len(table):
            return f"wraps: row {found:,}"
        if found == min(max(number, 0), len(table) - 1):
            return f"clips: row {found:,}"
        return f"another row: row {found:,}"
    if (around == row).all(axis=1).any():
        return "reads outside: memory beside the table"
    if (row.view(np.uint8) == OUT_BYTE).all():
        return "writes nothing: the output is as it was"
    return "garbage: bits from somewhere else"


def _rest(rows: Bits, table: Bits, ids: npt.NDArray[np.int64]) -> str:
    others = np.arange(BATCH) != PLACE
    return (
        "" if np.array_equal(rows[others], table[ids[others]]) else "; other rows of the batch are wrong too"
    )


def _lost_device(device: Device) -> str:
    """Words for a device that can't be used any more after the error; none for one that can."""
    if not device.is_gpu:
        return ""
    import torch

    try:
        torch.zeros(1, device=str(device)).add_(1)
        torch.cuda.synchronize()
    except Exception:
        return ", and the process can't use the GPU any more"
    return ""


SECONDS = 45.0
LIMIT_S = 60.0
"""A probe that takes longer hangs."""
OVER = 1.5
"""Probes are started for so many times the seconds given: a gap in the table is worse than some delay."""
IDS = {"-1": -1, "vocab": VOCAB, "vocab + 5": VOCAB + 5}
UNKNOWN = "not measured"


def findings(target: Target, seconds: float) -> list[Finding]:
    """The finding: every backend that is installed and runs here, each id in a process of its own.

    Raises:
        Unmeasured: no probe had a result.
    """
    kind = target.device.kind
    known_here = [one for one in map(describe, names()) if kind in one.devices and one.takes("memory")]
    here = [one.name for one in known_here]
    installed = [one.name for one in known_here if not missing_packages(one.packages)]
    probes = [(name, word) for word in IDS for name in installed]  # a part of all, where time is short
    at_once = 1 if target.device.is_gpu else max(1, target.threads)
    answers = _answers(target, probes, seconds, at_once)
    behaviours = {one: behaviour(answer) for one, answer in zip(probes, answers, strict=True)}
    known = {one: what for one, what in behaviours.items() if not what.startswith(UNKNOWN)}
    if not known:
        why = next(iter(behaviours.values()), f"no backend for {kind} is installed")
        raise Unmeasured(f"no probe had a result: {why}")
    return [
        finding(
            "out-of-range",
            rules.out_of_range(known),
            rule=rules.OUT_OF_RANGE,
            tables=(_table(behaviours, installed, here),),
            notes=_notes(),
        )
    ]


def behaviour(answer: Answer) -> str:
    """What a backend did, from how its probe answered and ended."""
    last = answer.lines[-1] if answer.lines else {}
    if "did" in last:
        return str(last["did"])
    if "unavailable" in last:
        return f"{UNKNOWN}: {last['unavailable']}"
    if "ready" not in last:
        return f"{UNKNOWN}: {answer.death or 'it did not get ready'}"
    if answer.timed_out:
        return f"hangs: {answer.death}"
    if answer.signal is not None:
        return f"kills the process: {answer.death}"
    return f"ends the process: {answer.death or 'with code 0'}"


def _answers(target: Target, probes: Sequence[tuple[str, str]], seconds: float, at_once: int) -> list[Answer]:
    """The answer of each probe; several run at once, since nothing is timed. None starts after the time."""
    end, cancelled = time.monotonic() + OVER * seconds, threading.Event()

    def answer(probe: tuple[str, str]) -> Answer:
        if time.monotonic() >= end:
            return Answer((), "no time was left")
        backend, word = probe
        spec = {"backend": backend, "id": IDS[word], "device": str(target.device)}
        return ask("probe", spec, LIMIT_S, 1, cancelled)

    with ThreadPoolExecutor(at_once) as pool:
        try:
            return list(pool.map(answer, probes))
        except BaseException:  # an interrupt: end the probes that run, and start no other
            cancelled.set()
            end = 0.0
            raise


def _table(behaviours: dict[tuple[str, str], str], installed: Sequence[str], here: Sequence[str]) -> Table:
    rows = [(name, *(behaviours[name, word] for word in IDS)) for name in installed]
    rows += [(name, *("not installed",) * len(IDS)) for name in here if name not in installed]
    headings = ("backend", *(f"id {word}" for word in IDS))
    return Table("What a lookup does with an id that is not in the table", headings, tuple(rows))


def _notes() -> tuple[str, ...]:
    return (
        f"Each probe looks up {BATCH} ids, one of which is not in the table, in {VOCAB:,} rows of {DIM} "
        f"float32. {GUARD // 2**20} MiB before and after the table hold other known rows, so that a read "
        "there is recognised and harmless; in a program that memory belongs to something else.",
        "The suite does not require a backend to check ids: one that does not is faster, and not at fault.",
        "A library may behave differently with other shapes, dtypes, devices or versions.",
    )
