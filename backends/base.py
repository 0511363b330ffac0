"""Contract of a backend: one way to look up rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

Array = Any
"""NumPy array, torch tensor, or whatever array a library returns."""

Lookup = Callable[[], Array]
"""Enqueue one lookup on the default stream; return the (batch, dim) array that holds the rows."""

DTYPES = ("float32", "float16", "bfloat16", "float8_e4m3fn", "int8")
"""The element types a table may have."""


class Unsupported(Exception):
    """Raised by ``prepare``: the backend can't do this case; the message is the reason."""


class BackendUnavailable(Exception):
    """Raised by ``prepare``: the backend's library is missing or unusable here; the message is the reason."""


def current_stream(array: Array) -> int:
    """The address of torch's current stream on a tensor's GPU; 0 is CUDA's legacy default stream."""
    if not array.is_cuda:
        return 0
    import torch

    address: int = torch.cuda.current_stream(array.device).cuda_stream
    return address


def address(array: Array) -> int:
    """Where the first element of a NumPy array or of a torch tensor lies."""
    return int(array.data_ptr() if hasattr(array, "data_ptr") else array.ctypes.data)


class Backend(ABC):
    """One way to look up rows. A file in this package holds one subclass; the file name is its name.

    The class attributes are literals, so that they can be read without importing the file, and the
    file imports its library inside ``prepare``, so that naming a backend costs nothing.

    Attributes:
        devices: where it runs, out of ``"cpu"`` and ``"cuda"``.
        view: how it wants rows. ``"bits"``: signed integers of the element's width, as NumPy arrays on
            the CPU and as torch tensors on CUDA (they speak DLPack and ``__cuda_array_interface__``); a
            lookup only moves rows, so a library need not know bfloat16. ``"values"``: torch tensors of
            the dtype itself, on either device.
        dtypes: the element types it can move.
        packages: distributions it needs, whose versions belong in a result; ``"a>=2|b"`` means the first that
            is installed, of a version that works.
        clock: ``"device"`` if its work is on CUDA's legacy default stream; ``"host"`` if the library has
            streams of its own, so that the rows are known to be there only when the call returns.
        stream: ``"current"`` if its work goes on the stream that is torch's current one while it is prepared
            and while it is called, so that a CUDA graph of it can be captured; ``"default"`` if it goes on
            the legacy default stream whatever that is.
        placements: the placements of a table that it is for, where it is not for all; of a table in a
            ``"file"`` the array is a ``numpy.memmap``, whose ``filename`` and ``offset`` say where it lies.
        operation: what it does, as ``suite.cases.operations`` names it; that says which operands it gets.
        whose: ``"library"`` if a lookup is a call of a library; ``"suite"`` if it is a kernel of this suite.
    """

    devices: ClassVar[tuple[str, ...]]
    view: ClassVar[Literal["values", "bits"]] = "bits"
    dtypes: ClassVar[tuple[str, ...]] = DTYPES
    packages: ClassVar[tuple[str, ...]] = ()
    clock: ClassVar[Literal["device", "host"]] = "device"
    stream: ClassVar[Literal["current", "default"]] = "default"
    whose: ClassVar[Literal["library", "suite"]] = "library"
    placements: ClassVar[tuple[str, ...]] = ()
    operation: ClassVar[str] = "lookup"

    @abstractmethod
    def prepare(self, *operands: Any, **named: Any) -> Lookup:
        """Do all that can be done once: views, JIT, launch geometry. Nothing here is timed.

        Of a lookup it is ``prepare(self, table, indices, out)``. Other operations hand over operands by name,
        as their files in ``suite/cases/operations/`` say.

        Args:
            table: (vocab, dim), C-contiguous, shared by every backend; must not be written to.
            indices: (batch,) int32 or int64, each in [0, vocab), which a backend need not check; rewritten
                by the suite between calls.
            out: (batch, dim), C-contiguous, like the table; a lookup writes here if its library can.

        Returns:
            The lookup. It reads table and ids as they are when it is called and returns ``out`` or an
            array of its own. One that holds bare addresses must keep the arrays behind them alive.

        Raises:
            Unsupported: for a dtype, shape or device it can't do, with the reason.
            BackendUnavailable: if its library can't be used on this machine, with the reason.
        """
