"""NVRTC out of its wheel, through ctypes: source in, log and PTX out. Needs no driver and no GPU."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """What came of compiling: the log, the PTX, the machine code, and each kernel's name in them."""

    log: str
    ptx: str
    cubin: bytes
    symbols: dict[str, str]

    def entry(self, name: str) -> str:
        """The PTX of one kernel."""
        _, _, rest = self.ptx.partition(f".entry {self.symbols[name]}(")
        return rest.partition("\n}")[0]


def library() -> Path | None:
    """Where the wheel has put libnvrtc; None where it is not installed."""
    for wheel in ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12"):
        try:
            files = metadata.files(wheel) or []
        except metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.name.startswith("libnvrtc.so"):
                return Path(str(file.locate()))
    return None


def compile_source(source: str, names: Sequence[str], options: Sequence[str]) -> Program:
    """Compile for the architecture named in the options, as a virtual and as a real machine.

    Raises:
        RuntimeError: with the compiler's log.
    """
    path = library()
    assert path
    for builtins in path.parent.glob("libnvrtc-builtins.so.*"):  # 13.0 does not look beside itself
        ctypes.CDLL(str(builtins))
    nvrtc = ctypes.CDLL(str(path))
    program = ctypes.c_void_p()
    _call(nvrtc.nvrtcCreateProgram, ctypes.byref(program), source.encode(), b"gather.cu", 0, None, None)
    try:
        for name in names:
            _call(nvrtc.nvrtcAddNameExpression, program, name.encode())
        arguments = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
        status = nvrtc.nvrtcCompileProgram(program, len(options), arguments)
        log = _bytes(nvrtc, "ProgramLog", program).decode()
        if status:
            raise RuntimeError(log)
        ptx, cubin = _bytes(nvrtc, "PTX", program).decode(), _bytes(nvrtc, "CUBIN", program)
        symbols = {}
        for name in names:
            lowered = ctypes.c_char_p()
            _call(nvrtc.nvrtcGetLoweredName, program, name.encode(), ctypes.byref(lowered))
            symbols[name] = (lowered.value or b"").decode()
        return Program(log.strip(), ptx, cubin, symbols)
    finally:
        _call(nvrtc.nvrtcDestroyProgram, ctypes.byref(program))


def _bytes(nvrtc: ctypes.CDLL, what: str, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    _call(getattr(nvrtc, f"nvrtcGet{what}Size"), program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    _call(getattr(nvrtc, f"nvrtcGet{what}"), program, text)
    return text.raw if what == "CUBIN" else text.value


def _call(function: ctypes._NamedFuncPointer, *arguments: object) -> None:
    status = function(*arguments)
    if status:
        raise RuntimeError(f"{function.__name__} returned {status}")
