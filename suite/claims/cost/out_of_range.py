"""One backend looks up one id that is not in the table, in a process of its own; what came back is named."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from backends import describe, missing_packages, names
from suite.claims.cost import rules
from suite.claims.finding import Finding, Table, finding
from suite.claims.target import Place, Unmeasured
from suite.claims.task import Answer, Spec, ask
from suite.text import cut

VOCAB, DIM, BATCH, PLACE = 1024, 64, 32, 3
"""The table, its lookup, and where in the batch the id stands that is not in the table."""
GUARD = 2**20
"""Bytes before and after the table that are ours too: rows that are read there are known as such."""
OUT_BYTE = 0x33
SAID = 70
"""So much of an error's message is kept."""
DTYPE = "float32"

_PATH = re.compile(r"\S*/\S*")
"""The name of a file: where it lies is nobody's business."""
Bits = npt.NDArray[np.int32]


def probe(spec: Spec) -> Iterator[Any]:
    """Look up ``spec["id"]`` with ``spec["backend"]`` on ``spec["device"]``.

    Yields:
        ``{"did": what it did, in words}``; before that ``{"ready": true}``, when all is prepared.
    """
    from backends import BackendUnavailable, Unsupported, load, missing_packages
    from suite.cases.case import Case
    from suite.engine import operands
    from suite.engine.arrays import arrays_on
    from suite.records.device import Device

    backend = load(spec["backend"])
    missing = missing_packages(backend.packages)
    if missing:
        yield {"unavailable": f"needs {', '.join(missing)}, not installed"}
        return
    case = Case(VOCAB, DIM, DTYPE, BATCH)
    arrays = arrays_on(Device.of(spec["device"]))
    table, around = _surrounded(arrays, case)
    ids = np.arange(7, 7 + BATCH, dtype=np.int64)
    field = operands.lay_out(case, arrays, table, [ids])
    slot = field.slots[0]
    try:
        lookup = backend().prepare(*field.of(slot, backend.view))
        lookup()  # compiles, loads, warms up: what is judged is the next call
        arrays.synchronize()
    except (Unsupported, BackendUnavailable) as error:
        yield {"unavailable": " ".join(str(error).split())}
        return
    ids[PLACE] = spec["id"]
    arrays.put(slot.indices, ids)
    arrays.view(slot.out.reshape(-1), "uint8")[...] = OUT_BYTE
    yield {"ready": True}
    try:
        result = lookup()
        arrays.synchronize()
        rows = _on_host(arrays.snapshot(result, case))
    except Exception as error:
        said = cut(_PATH.sub("…", f"{type(error).__name__}: {error}"), SAID)
        yield {"did": f"raises: {said}{_lost_device(spec['device'])}"}
        return
    known = _on_host(field.table)
    yield {"did": classify(rows[PLACE], known, around, spec["id"]) + _rest(rows, known, ids)}


def _surrounded(arrays: Any, case: Any) -> tuple[Any, Bits]:
    """The suite's table in the middle of memory of ours, and the rows that stand around it, (n, dim) bits."""
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
    """What a returned row is.

    Args:
        row: (dim,) bits of float32. table: (vocab, dim) bits. around: (n, dim) bits of what stands before and
            after the table. number: the id that was asked for.
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


def _lost_device(device: str) -> str:
    """Whether the device can still be used after the error."""
    if device == "cpu":
        return ""
    import torch

    try:
        torch.zeros(1, device=device).add_(1)
        torch.cuda.synchronize()
    except Exception:
        return ", and the process can't use the GPU any more"
    return ""


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
