"""Functions measured in the caller's own process, by the engine and with the checks of every run."""

from __future__ import annotations

import contextlib
import gc
import inspect
import re
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

from backends import DTYPES, Array, Backend, Choice, Lookup, Own, UnknownBackend, choose
from suite.best.question import case_of
from suite.cases.case import PLACEMENTS, Case
from suite.cases.dtypes import INDEX_BYTES
from suite.command import BadRequest
from suite.engine import binding
from suite.engine.check import Tampered
from suite.engine.contender import DeviceLost
from suite.records.device import Device
from suite.records.record import Record
from suite.run.options import Request, parse
from suite.run.schedule import Task
from suite.worker.messages import Job, failed
from suite.worker.performer import Performer

if TYPE_CHECKING:
    import pandas as pd

    from suite.machine.cuda_device import CudaDevice
    from suite.run.launch import Launch

Function = Callable[..., Array | None]
Named = Function | Mapping[str, Function] | Sequence[Function]
RUN = "measure"
"""What stands for the name of the run."""
GIVEN = "given"
APART = "python -m suite.run --backend FILE"
ISOLATION = (
    "in the caller's process: a function that crashes, hangs or patches a library takes all with it; "
    f"{APART} keeps it apart"
)
"""What such a measurement lacks; in its environment and its table."""
TRIAL_S = 0.5
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def measure(
    functions: Named,
    *backends: str,
    table: Any,
    ids: Any,
    device: str = "cpu",
    view: Literal["values", "bits"] = "values",
    time_s: float = 3.0,
    seed: int = 0,
    out: str | None = None,
    **axes: str,
) -> pd.DataFrame:
    """Measure functions as the suite measures its backends, in this process and in one pass.

    A function takes ``(table, ids)`` and returns the rows, or takes ``(table, ids, out)`` and fills ``out``.
    The table has the suite's own rows, by which results are checked bit for bit while ids and rows change.
    One that is wrong or raises has that status, its reason and no numbers, and is warned of.

    Args:
        functions: one, several, or several by name. backends: of the suite, to take turns with them.
        table: ``(vocab, dim)``, a model's name, or an array of which only shape and type are taken.
        ids: how many are looked up at once, or the ids themselves, an array of integers.
        device: ``cpu`` or ``cuda:N``. view: functions get torch tensors of the dtype (``values``), or signed
            integers of its width (``bits``), as NumPy arrays on the CPU.
        time_s: for all rounds. seed: of ids and orders. out: a folder that the run is written to.
        axes: ``dtype``, ``index_dtype``, ``distribution``, ``cache``, as for ``suite.run``.

    Returns:
        A table as of ``suite.load``, the fastest first; its notes say what is not kept apart.

    Raises:
        BadRequest: no such case, backend, device. StoreError: out is not written. DeviceLost: the GPU failed.
    """
    own, file_ids = _named(functions, view), None if isinstance(ids, Integral) else _flat(ids)
    case = _case(table, int(ids) if file_ids is None else file_ids, axes)
    _require_placement(case, on := _device(device))
    launch = _launch(case, on, (*own, *map(_chosen, backends)), seed)
    (job,) = launch.jobs({None: launch.tasks[0]}, time_s).values()
    job = job if file_ids is None else replace(job, ids_file=GIVEN)
    return _table(_measured(job, {GIVEN: file_ids}), launch, out, [one.name for one in own])


def _named(functions: Named, view: Literal["values", "bits"]) -> list[Own]:
    """A backend of each function."""
    if callable(functions):
        functions = [functions]
    pairs = functions.items() if isinstance(functions, Mapping) else ((_name(f), f) for f in functions)
    own: dict[str, Own] = {}
    for name, function in pairs:
        if not _NAME.fullmatch(name) or name in own:
            raise BadRequest(
                f"function {name!r}: no name of its own; give each one of letters: {{'mine': f}}"
            )
        own[name] = Own(name, name, backend=_backend(function, view))
    if not own:
        raise BadRequest("functions: none given; give one of (table, ids)")
    return list(own.values())


def _name(function: Function) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "function" if name == "<lambda>" else name


def _backend(function: Function, view: Literal["values", "bits"]) -> type[Backend]:
    fills = _fills(function)

    def prepare(self: Backend, table: Array, indices: Array, out: Array) -> Lookup:
        def filled() -> Array:
            rows = function(table, indices, out)
            return out if rows is None else rows

        return filled if fills else lambda: function(table, indices)

    facts = {"devices": ("cpu", "cuda"), "view": view, "dtypes": DTYPES, "prepare": prepare}
    return type("Function", (Backend,), {**facts, "__doc__": inspect.getdoc(function)})


def _fills(function: Function) -> bool:
    """Whether it takes an output: a third argument that must be given."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of some built-in functions it is not known
        return False
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return sum(p.default is p.empty for p in places) > 2


def _flat(ids: Any) -> Any:
    import numpy as np

    flat = np.asarray(ids.cpu() if hasattr(ids, "cpu") else ids).reshape(-1)
    if flat.dtype.kind not in "iu" or not flat.size:
        raise BadRequest(f"ids: {flat.size} of {flat.dtype}; give a number of ids, or an array of integers")
    return flat


def _case(table: Any, ids: Any, axes: Mapping[str, str]) -> Case:
    given: dict[str, object] = dict(axes)
    model = table if isinstance(table, str) else None
    if model is None:
        shape = tuple(getattr(table, "shape", table))
        if len(shape) != 2:
            raise BadRequest(f"table: of shape {shape}; give (vocab, dim), a model's name, or such an array")
        of_array = {"dtype": str(table.dtype).removeprefix("torch.")} if hasattr(table, "dtype") else {}
        given = {"vocab": int(shape[0]), "dim": int(shape[1])} | of_array | given
    if isinstance(ids, int):
        return case_of(model, batch=ids, **given)
    from suite.cases.ids import digest, out_of_range

    own = {"index_dtype": str(ids.dtype)} if str(ids.dtype) in INDEX_BYTES else {}
    case = case_of(
        model, **{**own, **given, "batch": len(ids), "distribution": f"file:{GIVEN}@{digest(ids)}"}
    )
    if outside := out_of_range(ids, case.vocab):
        raise BadRequest(f"ids: {outside}")
    return case


def _chosen(name: str) -> Choice:
    try:
        return choose(name)
    except UnknownBackend as error:
        raise BadRequest(str(error)) from None


def _device(text: str) -> Device:
    try:
        return Device.of(text)
    except ValueError as error:
        raise BadRequest(str(error)) from None


def _require_placement(case: Case, device: Device) -> None:
    """Table files are made and removed by suite.run; of other placements, the device must have it."""
    here = [place for place in PLACEMENTS[device.kind] if place != "file"]
    if case.placement not in here:
        what = "is for python -m suite.run" if case.placement == "file" else f"is none of {device}"
        raise BadRequest(f"placement {case.placement}: {what}; give one of {', '.join(here)}")


def _launch(case: Case, device: Device, choices: tuple[Choice, ...], seed: int) -> Launch:
    """The plan of the measurement, as of a run of one case in one pass."""
    from suite.run.launch import Launch

    words = ["--sustain", "0", "--passes", "1", "--seed", str(seed)]
    words += ["--gpu", str(device.index)] if device.is_gpu else []
    request: Request = replace(parse(words), preset=RUN, cases=(case,))
    return Launch(request, [Task(case, device, choices)], _gpu(device))


def _gpu(device: Device) -> CudaDevice | None:
    from suite.machine.cuda_device import cuda_device

    try:
        return cuda_device(device)
    except (AssertionError, RuntimeError) as error:
        why = " ".join(str(error).split())[:200]
        raise BadRequest(f"device {device}: not there, {why}; give device='cpu'") from None


def _measured(job: Job, ids: Mapping[str, Any]) -> list[Record]:
    """The records of a job in this process, which is left as it was."""
    with _interruptible() as notice, _collector_kept(), binding.kept():
        try:
            return _judged(job, ids, notice)
        except DeviceLost as error:
            why = f"lost by {notice.backend}, {error}"
            raise DeviceLost(f"{job.device}: {why}; begin a new process, or use {APART}") from error


@dataclass(slots=True)
class _Interrupt:
    """Ends a measurement at its next step, as a function may swallow what Ctrl-C raises in it."""

    asked: bool = False
    backend: str | None = None
    """Whose step it is."""

    def __call__(self, backend: str | None, step: str) -> None:
        self.backend = backend
        if self.asked:
            raise KeyboardInterrupt


@contextlib.contextmanager
def _interruptible() -> Iterator[_Interrupt]:
    interrupt = _Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def note(number: int, frame: object) -> None:
        interrupt.asked = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
        interrupt(None, "end")
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _collector_kept() -> Iterator[None]:
    """The collector as it was: the engine switches it off during rounds."""
    enabled = gc.isenabled()
    try:
        yield
    finally:
        (gc.enable if enabled else gc.disable)()


def _judged(job: Job, ids: Mapping[str, Any], notice: _Interrupt) -> list[Record]:
    """The records of a job; where its operands were changed, who does so alone is wrong, the others go on."""
    reason = _tampered(job, ids, notice)
    if isinstance(reason, list):
        return reason
    own = [one for one in job.backends if isinstance(one, Own)]
    guilty = own if len(job.backends) == 1 else [one for one in own if _tampers(job, one, ids, notice)]
    guilty = guilty or own  # none does so alone: each may have its part in it
    records = [failed(job, one, "wrong", reason) for one in guilty]
    left = tuple(one for one in job.backends if one not in guilty)
    return records + (_judged(replace(job, backends=left), ids, notice) if left else [])


def _tampers(job: Job, one: Own, ids: Mapping[str, Any], notice: _Interrupt) -> bool:
    brief = replace(job.settings, limit_s=min(TRIAL_S, job.settings.limit_s))
    return isinstance(_tampered(replace(job, backends=(one,), settings=brief), ids, notice), str)


def _tampered(job: Job, ids: Mapping[str, Any], notice: _Interrupt) -> list[Record] | str:
    """The records of a job, or that its operands were changed, by whom it can't tell."""
    performer = Performer(protected=False)  # a write to the table is found later, as a fault would end us all
    performer.ids = {(name, False): (given, None) for name, given in ids.items()}
    try:
        return performer.perform(job, notice)
    except Tampered as error:
        return str(error)


def _table(records: Sequence[Record], launch: Launch, out: str | None, own: Sequence[str]) -> pd.DataFrame:
    """The records as a table, the fastest first; on disk too, where a folder is given."""
    from pathlib import Path

    from suite.analysis import comparison
    from suite.analysis.frame import frame
    from suite.analysis.outcomes import Results, outcomes_of
    from suite.records.store import Run

    where = launch.environment((RUN,), isolation=ISOLATION)
    if out is not None:
        Run.create(out, where).append(records)
    run = RUN if out is None else Path(out).resolve().name
    ranked, _ = comparison.rank(list(outcomes_of(records, run).values()), comparison.noise_floor(where))
    for one in ranked:
        if one.backend in own and not one.completed:
            warnings.warn(f"{one.backend}: {one.status}: {one.reason}", stacklevel=3)
    return frame(Results({run: where}, tuple(ranked), (ISOLATION,)))
