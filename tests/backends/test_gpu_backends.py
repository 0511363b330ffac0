"""Every installed CUDA backend on a real GPU: NumPy's rows bit for bit over the contract's shapes.

Ours come first, and over more shapes. GPU_TESTS_S in the environment is the time for all, after which the
rest is skipped: a battery that is cut off would say nothing.
"""

from __future__ import annotations

import functools
import os
import time
from typing import Any

import numpy as np
import pytest

from backends import BackendUnavailable, Lookup, Unsupported, describe, load, missing_packages, names
from suite.engine.arrays import CudaArrays
from suite.records.device import Device

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.gpu

OURS = ("cupy_rawkernel", "cupy_bulk", "numba_cuda", "triton_gather")
OTHERS = tuple(
    name
    for name in names()
    if "cuda" in describe(name).devices and describe(name).takes("memory") and name not in OURS
)
INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32}
MOST_BYTES = 1 << 26
"""Of an output, but where it is the point that there are more: all of it is compared on the host."""
Array = np.ndarray[Any, Any]


@functools.cache
def end_s() -> float:
    """When time is up, counted from the first test on."""
    return time.monotonic() + float(os.environ.get("GPU_TESTS_S", "inf"))


@pytest.fixture(autouse=True)
def _in_time() -> None:
    if time.monotonic() > end_s():
        pytest.skip("time is up")


@functools.cache
def place() -> Any:
    """Where the suite puts tensors on the first GPU."""
    return CudaArrays(Device("cuda", 0)).place


def on_gpu(bits: Array, shift: int = 0) -> Any:
    """A tensor of these integers whose base is `shift` elements off its allocation, which is well aligned."""
    memory = torch.empty(bits.size + shift, dtype=INTEGERS[bits.itemsize], device=place())[shift:]
    return memory.view(bits.shape).copy_(torch.from_numpy(bits))


def prepared(name: str, dtype: str, table: Any, ids: Any, out: Any) -> Lookup:
    """The backend's lookup on integer tensors, seen as it wants to see them; skips with its own reason."""
    description = describe(name)
    if missing := missing_packages(description.packages):
        pytest.skip(f"not installed: {', '.join(missing)}")
    if dtype not in description.dtypes:
        pytest.skip(f"{name} has no {dtype}")
    if description.view == "values":
        table, out = table.view(getattr(torch, dtype)), out.view(getattr(torch, dtype))
    try:
        return load(name)().prepare(table, ids, out)
    except (Unsupported, BackendUnavailable) as reason:
        pytest.skip(str(reason))


def bits_of(result: Any, like: Any) -> Array:
    """The rows a lookup returned, on the host, as integers."""
    torch.cuda.synchronize()
    rows = result if isinstance(result, torch.Tensor) else torch.from_dlpack(result)
    return np.asarray(rows.view(like.dtype).cpu().numpy())


def check(name: str, dtype: str, bits: Array, ids: Array, shifts: tuple[int, int] = (0, 0)) -> None:
    """Two calls, the second on other ids written in place, between which out is overwritten."""
    table_shift, out_shift = shifts
    table, ids_there = on_gpu(bits, table_shift), torch.from_numpy(ids).to(place())
    memory = torch.full(
        (ids.size * bits.shape[1] + out_shift + 512,), 0x5A, dtype=table.dtype, device=place()
    )
    out = memory[out_shift : out_shift + ids.size * bits.shape[1]].view(ids.size, -1)
    lookup = prepared(name, dtype, table, ids_there, out)
    for now in (ids, ids[::-1].copy()):
        ids_there.copy_(torch.from_numpy(now))
        out.fill_(0x5A)
        assert np.array_equal(bits_of(lookup(), table), bits[now])
    assert (memory[:out_shift] == 0x5A).all()
    assert (memory[out_shift + out.numel() :] == 0x5A).all()
    assert np.array_equal(bits_of(table, table), bits), "the table was written to"


def noise(vocab: int, dim: int, item_bytes: int) -> Array:
    random = np.random.default_rng(dim).integers(0, 256, (vocab, dim * item_bytes), dtype=np.uint8)
    return random.view(f"i{item_bytes}")


def check_batches(name: str, dtype: str, size: int, dim: int, batches: tuple[int, ...]) -> None:
    """All of these batches by ids of 8 bytes, some by ids of 4."""
    bits = noise(2000, dim, size)
    for batch in batches:
        for index in (np.int64, np.int32) if batch in (1, 17) else (np.int64,):
            if batch * dim * size <= MOST_BYTES:
                ids = np.random.default_rng(batch).integers(0, 2000, batch).astype(index)
                ids[[0, -1]] = 1999
                check(name, dtype, bits, ids)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("dim", [1, 7, 100, 129, 1601, 8192])
@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("bfloat16", 2), ("int8", 1)])
def test_every_width_and_batch_is_looked_up(name: str, dim: int, dtype: str, size: int) -> None:
    check_batches(name, dtype, size, dim, (1, 16, 17, 4096, 65536))


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("shifts", [(1, 0), (0, 1), (4, 2), (3, 8)], ids=str)
def test_misaligned_bases_are_read_right(name: str, shifts: tuple[int, int]) -> None:
    for dim in (7, 128, 8192):
        ids = np.random.default_rng(dim).integers(0, 300, 500)
        check(name, "bfloat16", noise(300, dim, 2), ids, shifts)


@pytest.mark.parametrize("name", OURS)
def test_one_row_and_equal_and_sorted_ids_are_bit_exact(name: str) -> None:
    bits = noise(500, 1600, 4)
    check(name, "float32", bits[:1].copy(), np.zeros(33, np.int64))
    check(name, "float32", bits, np.full(3000, 499))
    check(name, "float32", bits, np.sort(np.random.default_rng(1).integers(0, 500, 3000)))


@pytest.mark.parametrize("name", (*OURS, *OTHERS))
@pytest.mark.parametrize("dim", [128, 129])
def test_a_table_beyond_32_bits_is_bit_exact(name: str, dim: int) -> None:
    """More than 2^31 elements; only the last rows hold anything but zero."""
    vocab = 2**31 // dim + 1000
    table = torch.zeros((vocab, dim), dtype=torch.int8, device=place())
    last = noise(1000, dim, 1)
    table[-1000:] = torch.from_numpy(last).to(place())
    ids = np.random.default_rng(3).integers(0, 1000, 4097)
    out = torch.empty((ids.size, dim), dtype=torch.int8, device=place())
    lookup = prepared(name, "int8", table, torch.from_numpy(ids + vocab - 1000).to(place()), out)
    assert np.array_equal(bits_of(lookup(), table), last[ids])


@pytest.mark.parametrize("name", OURS)
def test_a_thousand_lookups_take_no_thousand_compilations(name: str) -> None:
    """A cold case of few ids prepares so many."""
    table, ids = on_gpu(noise(300, 100, 4)), torch.zeros(17, dtype=torch.int64, device=place())
    out = torch.empty((17, 100), dtype=torch.int32, device=place())
    prepared(name, "float32", table, ids, out)
    backend, began = load(name)(), time.monotonic()
    for _ in range(1024):
        backend.prepare(table, ids, out)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("dim", [7, 1601, 8192])
@pytest.mark.parametrize(
    ("dtype", "size"), [("bfloat16", 2), ("int8", 1), ("float32", 4), ("float16", 2), ("float8_e4m3fn", 1)]
)
def test_every_dtype_of_the_others_is_bit_exact(name: str, dim: int, dtype: str, size: int) -> None:
    check_batches(name, dtype, size, dim, (17, 1024))


@pytest.mark.parametrize("name", (*OURS, *OTHERS))
def test_an_out_beyond_2_gib_is_bit_exact(name: str) -> None:
    bits = noise(1000, 8192, 2)
    ids = np.random.default_rng(4).integers(0, 1000, 2**31 // (8192 * 2) + 1001)
    table = on_gpu(bits)
    out = torch.empty((ids.size, 8192), dtype=torch.int16, device=place())
    result = prepared(name, "bfloat16", table, torch.from_numpy(ids).to(place()), out)()
    for start in range(0, ids.size, 8192):  # piece by piece: the host need not hold it twice
        piece = slice(start, start + 8192)
        assert np.array_equal(bits_of(result[piece], table), bits[ids[piece]])
