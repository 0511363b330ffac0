"""backends/README.md: its templates and its lines of use, run as they stand there."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from backends import choose, describe, missing_packages, names
from tests.stand_ins import cuda_shim
from tests.support.kernels import Array, check, ids_of, needs_compiler, needs_driver, table_of

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "backends/README.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- (\w+: \S+) -->\n```python\n(.*?)```", README, re.DOTALL))
CPU = re.search(r"On the CPU\s+\(([^)]*)\)", README)
CUDA = re.search(r"On a GPU \(([^)]*)\)", README)
IN_INTERPRETER = """
import sys, numpy as np, torch, mine
for dim, dtype, batch in ((1, np.int8, 3), (129, np.int16, 17), (1024, np.int32, 5), (1601, np.int8, 4)):
    rng = np.random.default_rng(dim)
    table = rng.integers(-128, 128, (50, dim)).astype(dtype)
    memory = np.full(batch * dim + 128, 0x5A, dtype)
    out, ids = memory[64:-64].reshape(batch, dim), rng.integers(0, 50, batch)
    lookup = mine.MyTriton().prepare(*map(torch.from_numpy, (table, ids, out)))
    for _ in range(2):
        ids[:] = rng.integers(0, 50, batch)
        assert lookup().data_ptr() == out.ctypes.data
        assert np.array_equal(out, table[ids])
        assert (memory[:64] == 0x5A).all() and (memory[-64:] == 0x5A).all()
print("right")
"""


def own(device: str) -> set[str]:
    """The kernels of this suite for a device, but those that are for tables in files only."""
    known = (one for one in map(describe, names()) if one.takes("memory"))
    return {one.name for one in known if one.whose == "suite" and device in one.devices}


def written(name: str, folder: Path) -> Path:
    """A template as a file."""
    (folder / name).write_text(BLOCKS[f"template: {name}"], encoding="utf-8")
    return folder / name


def used(device: str, backend: str) -> dict[str, Any]:
    """What is there after the lines of use, for this backend in place of theirs."""
    text = re.sub(r'load\("\w+"\)', f'load("{backend}")', BLOCKS[f"use: {device}"])
    there: dict[str, Any] = {}
    exec(text, there)
    return there


def right(there: dict[str, Any]) -> bool:
    """Whether the rows are those of the last ids, and after a call those of others."""
    first = torch.equal(there["out"], there["table"][there["ids"]])
    there["ids"].copy_(torch.arange(17).flip(0) * 2957)
    there["lookup"]()
    return first and torch.equal(there["out"], there["table"][there["ids"]])


def test_the_templates_are_what_the_loader_takes(tmp_path: Path) -> None:
    for name in ("my_triton.py", "my_cuda.py"):
        found = describe(choose(str(written(name, tmp_path))))
        assert (found.devices, found.whose) == (("cuda",), "other") and found.packages


@needs_compiler
@pytest.mark.parametrize(("size", "index"), [(np.int8, np.int32), (np.int16, np.int64), (np.int32, np.int64)])
def test_the_template_in_cuda_looks_up_on_the_host(
    noise: Array, tmp_path: Path, size: type, index: type
) -> None:
    path, text = written("my_cuda.py", tmp_path), BLOCKS["template: my_cuda.py"]
    element = {1: "signed char", 2: "short", 4: "int"}[np.dtype(size).itemsize]
    instance = f"gather<{element}, {'int' if index is np.int32 else 'long long'}>"
    (source,) = re.findall(r'r"""(.*?)"""', text, re.DOTALL)
    library = cuda_shim.Library(source, [instance], tmp_path)
    with patch.dict("sys.modules", cupy=cuda_shim.cupy(library, 132)):
        spec = importlib.util.spec_from_file_location("my_cuda", path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    for dim, batch in ((1, 17), (129, 16), (1601, 3)):
        check(
            library,
            table_of(noise, 200, dim, size),
            ids_of("random", 200, batch, index),
            backend=module.MyCuda,
        )


@pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
def test_the_template_in_triton_looks_up_in_the_interpreter(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BLOCKS["template: my_triton.py"], encoding="utf-8")
    path = os.pathsep.join((str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")))
    child = subprocess.run(
        [sys.executable, "-c", IN_INTERPRETER],
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert child.stdout == "right\n", child.stderr


@pytest.mark.parametrize(("listed", "device"), [(CPU, "cpu"), (CUDA, "cuda")])
def test_the_lines_of_use_name_every_kernel_of_this_suite(listed: Any, device: str) -> None:
    assert set(re.findall(r"`(\w+)`", listed[1])) == own(device)


@pytest.mark.parametrize("backend", sorted(own("cpu")))
def test_the_lines_of_use_look_up_on_the_cpu(backend: str) -> None:
    if missing := missing_packages(describe(backend).packages):
        pytest.skip(f"needs {', '.join(missing)}, not installed")
    assert right(used("cpu", backend))


@needs_compiler
def test_the_lines_of_use_look_up_on_a_gpu_that_the_host_stands_in_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backends.cupy_rawkernel import SOURCE

    library = cuda_shim.Library(SOURCE, cuda_shim.instances(("int4",), ("long long",)), tmp_path)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda tensor: tensor)
    watch = library.watch
    for seen in (watch.table, watch.ids, watch.out):
        seen.start, seen.stop = 0, 2**63
    with patch.dict("sys.modules", cupy=cuda_shim.cupy(library, 132)):
        assert right(used("cuda", "cupy_rawkernel"))


@pytest.mark.gpu
@pytest.mark.parametrize("backend", sorted(own("cuda")))
def test_the_lines_of_use_look_up_on_a_gpu(backend: str) -> None:
    needs_driver()
    if missing := missing_packages(describe(backend).packages):
        pytest.skip(f"needs {', '.join(missing)}, not installed")
    there = used("cuda", backend)
    torch.cuda.synchronize()
    assert right(there)
