"""What is particular to the other libraries' backends: what they refuse and why, what they must not do."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from backends import (
    Array,
    BackendUnavailable,
    Lookup,
    Unsupported,
    describe,
    distributions,
    load,
    missing_packages,
    names,
)

ROOT = Path(__file__).resolve().parents[2]

torch = pytest.importorskip("torch")

CPU = [name for name in names() if "cpu" in describe(name).devices and describe(name).takes("memory")]


def shifted(count: int, dtype: str, elements: int) -> Array:
    """A NumPy array whose address is so many elements behind a boundary of 64 bytes."""
    item = np.dtype(dtype).itemsize
    raw = np.zeros((count + elements) * item + 64, np.uint8)
    start = -raw.ctypes.data % 64 + elements * item
    return raw[start : start + count * item].view(dtype)


def prepared(name: str, table: Array, ids: Array, out: Array) -> Lookup:
    """The lookup of a backend on NumPy arrays, seen as it wants them; skips where it can't be had."""
    if missing := missing_packages(describe(name).packages):
        pytest.skip(f"needs {', '.join(missing)}")
    operands = (table, ids, out)
    if describe(name).view == "values":
        operands = tuple(map(torch.from_numpy, operands))
    try:
        return load(name)().prepare(*operands)
    except BackendUnavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", CPU)
@pytest.mark.parametrize("dim", [7, 64])
def test_a_base_on_no_boundary_is_bit_exact(name: str, dim: int) -> None:
    """Rows are right wherever table, ids and output start, or the backend says why it won't."""
    table, ids = shifted(50 * dim, "int16", 1).reshape(50, dim), shifted(17, "int64", 1)
    out = shifted(17 * dim, "int16", 3).reshape(17, dim)
    table[...] = np.random.default_rng(0).integers(-(2**15), 2**15, table.shape)
    try:
        lookup = prepared(name, table, ids, out)
    except Unsupported as reason:
        assert "boundary" in str(reason)
        return
    for _ in range(2):
        ids[...] = np.random.default_rng(1).integers(0, 50, 17)
        table[...] = table[::-1].copy()
        assert np.array_equal(np.asarray(lookup()), table[ids])


def test_jax_says_why_it_will_not_take_a_copy() -> None:
    table, ids = shifted(50, "int16", 1).reshape(50, 1), shifted(17, "int64", 0)
    with pytest.raises(Unsupported, match="only on a boundary of 64 bytes"):
        prepared("jax_take", table, ids, shifted(17, "int16", 0).reshape(17, 1))


def test_jax_leaves_its_settings_alone() -> None:
    """Ids of 64 bits need a setting of JAX's, which other code in the process must not find changed."""
    table, ids = shifted(50, "int16", 0).reshape(50, 1), shifted(17, "int64", 0)
    lookup = prepared("jax_take", table, ids, shifted(17, "int16", 0).reshape(17, 1))
    import jax

    assert not jax.config.jax_enable_x64
    assert np.asarray(lookup()).shape == (17, 1)


def test_onnxruntime_says_that_it_has_no_cuda() -> None:
    if missing := missing_packages(describe("onnxruntime_gather").packages):
        pytest.skip(f"needs {', '.join(missing)}")
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    somewhere = SimpleNamespace(device=torch.device("cuda:0"))
    with pytest.raises(BackendUnavailable, match="without CUDA; install onnxruntime-gpu"):
        load("onnxruntime_gather")().prepare(somewhere, None, None)


@pytest.mark.parametrize(("dim", "shift"), [(129, 0), (512, 1)])
def test_fbgemm_gather_refuses_what_it_would_leave_to_torch(dim: int, shift: int) -> None:
    table = torch.from_numpy(shifted(5 * dim, "int16", shift).reshape(5, dim)).view(torch.bfloat16)
    with pytest.raises(Unsupported, match="multiples of 256 elements, on 16-byte boundaries"):
        load("fbgemm_gather")().prepare(table, None, None)


def test_torch_compile_compiles_once_a_table_and_for_many_tables() -> None:
    """torch stops after so many recompilations of one function; each sort of table has one of its own."""
    import torch._dynamo.config
    from torch._dynamo.utils import counters

    def graphs(dims: Sequence[int], batches: Sequence[int]) -> int:
        before = counters["stats"]["unique_graphs"]
        for dim in dims:
            table = np.arange(50 * dim, dtype=np.int32).reshape(50, dim)
            for batch in batches:
                ids, out = shifted(batch, "int64", 0), shifted(batch * dim, "int32", 0).reshape(batch, dim)
                lookup = prepared("torch_compile", table, ids, out)
                ids[:] = np.arange(batch)[::-1]
                assert np.array_equal(np.asarray(lookup()), table[ids])
        return counters["stats"]["unique_graphs"] - before

    with torch._dynamo.config.patch(recompile_limit=1):
        assert graphs((4, 5, 6), (3,)) == 3
        assert graphs((4, 5, 6), (2, 7, 40)) == 0, "any batch by the same code"
        assert graphs((4,), (1, 1)) == 1, "one id is a shape of its own"


def test_torch_compile_that_does_not_compile_is_no_lookup() -> None:
    import torch._dynamo.config

    table, ids = np.arange(50 * 7, dtype=np.int32).reshape(50, 7), shifted(3, "int64", 0)
    out = shifted(21, "int32", 0).reshape(3, 7)
    lookup = prepared("torch_compile", table, ids, out)
    for off in (torch._dynamo.config.patch(disable=True), torch.compiler.set_stance("force_eager")):
        with off:
            with pytest.raises(BackendUnavailable, match="does not compile here: switched off"):
                lookup()
            with pytest.raises(BackendUnavailable, match="does not compile here: switched off"):
                load("torch_compile")().prepare(*map(torch.from_numpy, (table, ids, out)))
    assert np.array_equal(np.asarray(lookup()), table[ids])


BROKEN_COMPILER = """#!/bin/sh
case "$*" in *--version*) echo "g++ (GCC) 12.2.0"; exit 0;; esac
exit 1
"""


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"TORCHDYNAMO_DISABLE": "1"}, "torch.compile does not compile here"),
        ({"TORCH_COMPILE_DISABLE": "1"}, "torch.compile does not compile here"),
        ({}, "InvalidCxxCompiler: No working C++ compiler found"),
        ({"CXX": "broken"}, "CppCompileError"),
        ({"CXX": "broken", "TORCHDYNAMO_SUPPRESS_ERRORS": "1"}, "CppCompileError"),
    ],
    ids=lambda value: " ".join(value) or "none" if isinstance(value, dict) else "",
)
@pytest.mark.long
def test_torch_compile_without_compiling_is_unavailable(
    tmp_path: Path, variables: dict[str, str], reason: str
) -> None:
    (tmp_path / "broken").write_text(BROKEN_COMPILER)
    (tmp_path / "broken").chmod(0o755)
    code = (
        "import torch, backends\n"
        "table, ids = torch.zeros(50, 4), torch.arange(3)\n"
        "try:\n    backends.load('torch_compile')().prepare(table, ids, table[:3].clone())\n"
        "except backends.BackendUnavailable as reason:\n    print('unavailable:', reason)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "CXX"}
    environment |= {"PATH": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-c", code]
    done = subprocess.run(
        line, cwd=tmp_path, env=environment | variables, capture_output=True, text=True, timeout=200
    )
    assert f"unavailable: {reason}" in done.stdout, done.stderr


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize("index", ["int32", "int64"])
def test_the_cutile_kernel_compiles(architecture: str, index: str) -> None:
    """NVIDIA's compiler takes it, for GPUs that need not be here."""
    if missing := missing_packages(("cuda-tile", "nvidia-cuda-tileiras")):
        pytest.skip(f"needs {', '.join(missing)}")
    import cuda.tile as ct
    from cuda.tile import compilation

    import backends.cutile_gather as backend

    def array(dtype: str, rank: int, index_dtype: str) -> object:
        return compilation.ArrayConstraint(
            getattr(ct, dtype),
            rank,
            index_dtype=getattr(ct, index_dtype),
            stride_lower_bound_incl=0,
            alias_groups=(),
            may_alias_internally=False,
            stride_constant=(None, 1)[2 - rank :],
        )

    backend.ct = ct
    rows = array("int16", 2, "int64")
    arguments = [rows, array(index, 1, "int32"), rows, *backend.tile(129, 2)]
    convention = compilation.CallingConvention.cutile_python_v1()
    signature = compilation.KernelSignature(arguments, calling_convention=convention)
    made = io.BytesIO()
    compilation.export_kernel(
        backend.build(), [signature], made, gpu_code=architecture, output_format="cubin"
    )
    assert made.getvalue().startswith(b"\x7fELF")


@pytest.mark.parametrize(("dim", "item"), [(1, 1), (7, 2), (64, 4), (129, 2), (8192, 1), (8192, 4)])
def test_cutile_tiles_are_powers_of_two_of_one_size(dim: int, item: int) -> None:
    import backends.cutile_gather as backend

    high, wide = backend.tile(dim, item)
    assert high & (high - 1) == wide & (wide - 1) == 0
    assert high * wide * item == backend.TILE_BYTES


def test_what_warp_prints_is_no_result() -> None:
    """Warp greets on standard output and tells of each compilation; results go there, and nothing else."""
    if missing := missing_packages(describe("warp_gather").packages):
        pytest.skip(f"needs {', '.join(missing)}")
    code = (
        "import torch, backends\n"
        "table, ids, out = torch.ones(50, 4), torch.arange(3), torch.zeros(3, 4)\n"
        "assert (backends.load('warp_gather')().prepare(table, ids, out)() == 1).all()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=200
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("name", names())
def test_an_extra_installs_each_library(name: str) -> None:
    """What a backend needs is a dependency of ours, or comes with one."""
    comes_along = {"triton", "jaxlib"}  # with torch, with jax
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for lines in extras.values() for line in lines)]
    known = {re.split(r"[\[<>=; ]", line)[0] for line in wanted} | comes_along
    for package in describe(name).packages:
        assert known & set(distributions([package])), package


@pytest.mark.parametrize("name", names())
def test_the_oldest_version_that_works_is_the_extras_floor(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [line for lines in project["optional-dependencies"].values() for line in lines]
    floors = {(found[1], found[2]) for line in lines if (found := re.match(r"([\w-]+)[^>]*>=([\w.]+)", line))}
    for word in "|".join(describe(name).packages).split("|"):
        package, _, least = word.partition(">=")
        assert not least or package == "cupy" or (package, least) in floors, word


def test_peers_are_the_extras_that_need_no_gpu() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (line,) = project["optional-dependencies"]["peers"]
    assert line == "embedding-lookup-suite[arrow,fbgemm,jax,onnx,scipy,torchao,uring,warp]"
