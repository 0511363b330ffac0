"""Host's memory for a GPU: pinned, which its kernels read over the bus; managed, whose pages come to it."""

from __future__ import annotations

import ctypes
import errno
from typing import Any

_PORTABLE, _DEVICE_MAP, _ATTACH_GLOBAL = 1, 2, 1
_OUT_OF_MEMORY = 2


class HostForGpu:
    """An allocation by the CUDA driver, freed when the last array on it is gone.

    Arrays of other libraries are made of it by ``__cuda_array_interface__``, whose address is the one that
    kernels use. The calls are those of the CUDA Driver API: cuMemHostAlloc, with its address on the device,
    and cuMemAllocManaged; the device's context must be current.

    Args:
        size: bytes. placement: ``pinned`` or ``managed``.

    Raises:
        OSError: there is no driver, or it refuses; ENOMEM where there is too little memory.
    """

    def __init__(self, size: int, placement: str) -> None:
        self.driver = _driver()
        self.memory, address = ctypes.c_void_p(), ctypes.c_void_p()
        wanted = ctypes.c_size_t(size)
        if placement == "pinned":
            flags = ctypes.c_uint(_PORTABLE | _DEVICE_MAP)
            _call(self.driver, "cuMemHostAlloc", ctypes.byref(self.memory), wanted, flags)
            self.free = "cuMemFreeHost"
            there = ctypes.byref(address), self.memory, ctypes.c_uint(0)
            _call(self.driver, "cuMemHostGetDevicePointer_v2", *there)
        else:
            _call(
                self.driver,
                "cuMemAllocManaged",
                ctypes.byref(self.memory),
                wanted,
                ctypes.c_uint(_ATTACH_GLOBAL),
            )
            self.free, address = "cuMemFree_v2", self.memory
        self.__cuda_array_interface__ = {
            "data": (address.value, False),
            "shape": (size,),
            "typestr": "|u1",
            "version": 3,
        }

    def __del__(self) -> None:
        if getattr(self, "free", None):
            getattr(self.driver, self.free)(self.memory)


def _driver() -> Any:
    return ctypes.CDLL("libcuda.so.1")


def _call(driver: Any, name: str, *arguments: object) -> None:
    code = getattr(driver, name)(*arguments)
    if code:
        number = errno.ENOMEM if code == _OUT_OF_MEMORY else errno.EIO
        raise OSError(number, f"{name} returned CUDA error {code}")
