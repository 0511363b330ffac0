"""Calls of NVML that neither raise nor hang: a value, or the reason why there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from suite.telemetry.reading import Reading

NOT_SUPPORTED = "not supported"
NOT_FOUND = "not found"
FUNCTION_NOT_FOUND = "function not found in this driver or pynvml"
STRUCT_VERSION = "structure version not known to this driver"
UNKNOWN_TO_DRIVER = (FUNCTION_NOT_FOUND, STRUCT_VERSION)
NOT_INSTALLED = "nvidia-ml-py is not installed"
HUNG = "NVML hung: "

# Keyed by nvmlReturn_t. The texts are ours because pynvml gets its own by another call into the library that
# has just failed.
REASONS = {
    1: "NVML is uninitialized",
    2: "invalid argument",
    3: NOT_SUPPORTED,
    4: "no permission",
    6: NOT_FOUND,
    7: "insufficient size",
    8: "insufficient external power",
    9: "driver not loaded",
    10: "timed out",
    11: "interrupt issue",
    12: "NVML library not found: no NVIDIA driver",
    13: FUNCTION_NOT_FOUND,
    14: "corrupted infoROM",
    15: "GPU is lost",
    16: "GPU needs a reset",
    17: "refused by the operating system",
    18: "version mismatch of driver and NVML library",
    19: "in use",
    20: "NVML is out of memory",
    21: "no data",
    23: "insufficient resources",
    25: STRUCT_VERSION,
    26: "deprecated",
    27: "not ready",
    28: "GPU not found",
    29: "invalid state",
    999: "unknown NVML error",
}


def reason_of(code: int) -> str:
    """A short reason for an nvmlReturn_t other than success."""
    return REASONS.get(code, f"NVML error {code}")


class Calls:
    """NVML in this process.

    Attributes:
        limit_s: how long one call may take before it is given up.
        stopped: once set, every further call returns this reason at once: a hang, no library, closed.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.stopped: str | None = None
        self._pynvml: Any = None

    def ask(self, function: str, *arguments: Any) -> Reading[Any]:
        """Call pynvml's ``function``; the value is True if it returns nothing."""
        if self.stopped is None and self._pynvml is None:
            self._load()
        if self.stopped is not None:
            return Reading(None, self.stopped)
        call = getattr(self._pynvml, function, None)
        return Reading(None, FUNCTION_NOT_FOUND) if call is None else self._within_limit(call, arguments)

    def ask_newest(self, *choices: tuple[Any, ...]) -> Reading[Any]:
        """Call the first of several versions, newest first, that both the driver and pynvml know."""
        answer: Reading[Any] = Reading(None, FUNCTION_NOT_FOUND)
        for choice in choices:
            answer = self.ask(*choice)
            if answer.reason not in UNKNOWN_TO_DRIVER:
                break
        return answer

    def _load(self) -> None:
        try:
            import pynvml
        except ImportError:
            self.stopped = NOT_INSTALLED
        else:
            self._pynvml = pynvml

    def _within_limit(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Reading[Any]:
        # A call that hangs in the driver can't be interrupted. It stays in its daemon thread, which blocks
        # neither the interpreter's lock nor its exit.
        answers: list[Reading[Any]] = []
        thread = threading.Thread(target=lambda: answers.append(self._answer(call, arguments)), daemon=True)
        thread.start()
        thread.join(self.limit_s)
        if not answers:
            self.stopped = f"{HUNG}{call.__name__} was given up after {self.limit_s:g} s"
            return Reading(None, self.stopped)
        return answers[0]

    def _answer(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Reading[Any]:
        try:
            value = call(*arguments)
        except self._pynvml.NVMLError as error:
            return Reading(None, reason_of(error.value))
        except Exception as error:  # an error of pynvml itself, such as a name that is not UTF-8
            return Reading(None, f"{type(error).__name__} in pynvml")
        return Reading(True if value is None else value)
