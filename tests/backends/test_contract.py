"""Every backend of the tree keeps the contract: bit exact on every shape, short, described, found by name."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import backends
from backends import (
    Backend,
    BackendUnavailable,
    UnknownBackend,
    Unsupported,
    describe,
    load,
    missing_packages,
    names,
    needs,
)
from suite.cases import ids
from suite.cases.case import PLACEMENTS, Case
from suite.cases.dtypes import DTYPE_BYTES, INDEX_BYTES
from suite.engine import check
from suite.engine.arrays import HostArrays
from suite.engine.operands import Operands, build_table, lay_out
from suite.engine.placement import table_file

ROOT = Path(__file__).resolve().parents[2]

HOUSE = ROOT / "backends"

OURS = tuple(sorted(path.stem for path in HOUSE.glob("*.py") if path.stem not in ("__init__", "base")))
CPU = tuple(name for name in OURS if "cpu" in describe(name).devices)
DTYPES = tuple(DTYPE_BYTES)
DIMS = (1, 7, 100, 129, 1601)
BATCHES = (1, 16, 17, 4096)
VOCAB = 1009
MOST_LINES = 60
FILES = tempfile.TemporaryDirectory(prefix="tables-", ignore_cleanup_errors=True)

COMPILED = {"torch_compile"}
"""Compiled for each table, in a second or so: it gets one table a dtype, and most of them wait."""

MOVED = [
    pytest.param(
        name, dtype, marks=pytest.mark.long if name in COMPILED and dtype not in ("float32", "int8") else ()
    )
    for name in CPU
    for dtype in DTYPES
    if dtype in describe(name).dtypes
]
"""Backends with each dtype that they move."""

LONG = {
    "numba_cpu": "what Python has no words for (prefetch, streaming stores, OpenMP) is emitted as LLVM",
    "numba_cuda": "geometry by measurement, and the successors of numba.cuda",
    "triton_gather": "geometry: the width, the tile and the grid by shape and alignment",
    "cupy_bulk": "geometry, and the instructions that CUDA C++ has no words for",
    "cupy_rawkernel": "geometry and source for each width of a load",
}


@functools.cache
def table_of(vocab: int, dim: int, dtype: str, offset: int, placement: str, _: str) -> Any:
    """One table of bits; backends share it."""
    return build_table(HostArrays(), Case(vocab, dim, dtype, offset=offset, placement=placement))


def laid_out(case: Case, batch: Any = None) -> Operands:
    batches = [ids.draw(case, 0, 0) if batch is None else np.asarray(batch, case.index_dtype)]
    return lay_out(case, HostArrays(), table_of(*case.table), batches)


@functools.cache
def file_of(*table: Any) -> Any:
    """One table in a file; backends share it."""
    vocab, dim, dtype, offset, *_ = table
    case = Case(vocab, dim, dtype, offset=offset, placement="file")
    return table_file.mapped(FILES.name, case)


def in_a_file(operands: Operands) -> Operands:
    """The same operands, the table in a file."""
    case = dataclasses.replace(operands.case, placement="file")
    return dataclasses.replace(operands, case=case, table=file_of(*operands.case.table))


def verdict(name: str, operands: Operands) -> str | None:
    """What the check says of a backend on a case; None is right."""
    if missing := missing_packages(describe(name).packages):
        pytest.skip(f"needs {', '.join(missing)}")
    backend = load(name)
    if not describe(name).takes("memory"):
        operands = in_a_file(operands)
    slot = operands.slots[0]
    try:
        lookup = operands.prepared(backend(), slot)
    except BackendUnavailable as error:
        pytest.skip(str(error))
    return check.check(operands, slot, lookup, backend.clock, 5)[0]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late writes are waited for in other tests; here the cases are many."""
    monkeypatch.setattr(check, "_LATE_S", 1e-4)


# --- every lookup is right ----------------------------------------------------------------------------


def test_there_are_backends_on_the_cpu_and_on_cuda() -> None:
    assert len(CPU) >= 3
    assert {"cpu", "cuda"} == {device for name in OURS for device in describe(name).devices}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("name", "dtype"), MOVED)
def test_lookups_are_bit_exact_on_every_shape(name: str, dtype: str) -> None:
    one = DTYPES.index(dtype)
    for dim in DIMS[one : one + 1] if name in COMPILED else DIMS:
        for batch in BATCHES:
            # The largest, most of the time, with one type of ids.
            for index_dtype in INDEX_BYTES if dim * batch < 2**22 else ("int64",):
                case = Case(VOCAB, dim, dtype, batch, index_dtype)
                assert verdict(name, laid_out(case)) is None, case


@pytest.mark.parametrize("name", CPU)
def test_the_last_row_the_first_and_one_alone_are_bit_exact(name: str) -> None:
    last = VOCAB - 1
    batches = ([last, 0] * 8, [last] * 16, [0] * 16, [last], [0], list(range(VOCAB)), [7] * 4096)
    for batch in batches:
        for index_dtype in INDEX_BYTES:
            case = Case(VOCAB, 129, "bfloat16", len(batch), index_dtype)
            assert verdict(name, laid_out(case, batch)) is None, batch[:3]


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("name", "dtype"), MOVED)
def test_a_table_off_its_alignment_is_bit_exact_or_refused(name: str, dtype: str) -> None:
    width = DTYPE_BYTES[dtype]
    for offset in (width,) if name in COMPILED else (width, 8, 16, 64 - width):
        case = Case(VOCAB, 64, dtype, 17, offset=offset)
        try:
            assert verdict(name, laid_out(case)) is None, case
        except Unsupported as reason:
            assert "boundary" in str(reason)


@pytest.mark.parametrize("name", CPU)
def test_a_table_of_one_row_is_looked_up(name: str) -> None:
    for dim in (1, 129):
        assert verdict(name, laid_out(Case(1, dim, "float32", 33))) is None


@pytest.mark.parametrize("name", [name for name in CPU if name not in COMPILED])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_lookups_are_bit_exact_on_any_shape_and_ids(name: str, hasty: None, data: st.DataObject) -> None:
    vocab, dim = data.draw(st.sampled_from([(2, 3), (5, 64), (999, 33), (300, 257), (64, 2048)]))
    batch = data.draw(st.lists(st.integers(0, vocab - 1), min_size=1, max_size=70))
    dtype, index_dtype = data.draw(st.sampled_from(DTYPES)), data.draw(st.sampled_from(tuple(INDEX_BYTES)))
    if dtype in load(name).dtypes:
        case = Case(vocab, dim, dtype, len(batch), index_dtype)
        assert verdict(name, laid_out(case, batch)) is None, case


@pytest.mark.long
@pytest.mark.timeout(280)
def test_a_table_of_more_elements_than_31_bits_count() -> None:
    """2.15 GB: the offset of an element overflows an int32, the id of a row does not."""
    dim = 1025
    vocab = 2**31 // dim + 3
    assert vocab * dim > 2**31
    table = build_table(HostArrays(), Case(vocab, dim, "int8"))
    last = vocab - 1 - np.arange(40)
    scattered = np.random.default_rng(0).integers(0, vocab, 4000)
    for name in CPU:
        if "int8" not in load(name).dtypes or missing_packages(load(name).packages):
            continue
        for index_dtype in INDEX_BYTES:
            for batch in (last, np.concatenate([last, scattered])):
                case = Case(vocab, dim, "int8", len(batch), index_dtype)
                operands = lay_out(case, HostArrays(), table, [batch.astype(index_dtype)])
                with contextlib.suppress(pytest.skip.Exception):  # of one that can't be had, not of all
                    assert verdict(name, operands) is None, f"{name} {case}"


def test_the_check_would_have_seen_an_overflow() -> None:
    """The formula takes rows beyond 31 bits of elements for what they are, not for what they wrap to."""
    from suite.cases import formula

    def bits(row: int) -> Any:
        return next(formula.expected(np.array([row]), 1025, "int8", lambda s: np.empty(s, np.int32)))[
            1
        ].copy()

    assert not np.array_equal(bits(2**31 // 1025 + 1), bits(0))
    assert not np.array_equal(bits(2**32 + 3), bits(2**31 + 3))


# --- a backend is one short file that says what it is -------------------------------------------------


def own_lines(path: Path) -> int:
    """Lines of a backend's file but for its kernels: source in a string, or a function documented as one."""
    text = path.read_text(encoding="utf-8")
    kernels: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        source = isinstance(node, ast.Constant) and isinstance(node.value, str) and "__global__" in node.value
        said = (ast.get_docstring(node) or "") if isinstance(node, ast.FunctionDef) else ""
        if source or said.startswith("The kernel:"):
            kernels |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(text.splitlines()) - len(kernels)


def test_a_backend_is_short() -> None:
    long = {name for name in OURS if own_lines(HOUSE / f"{name}.py") > MOST_LINES}
    assert long - set(LONG) == set(), "shorten it, or say in LONG what it needs the room for"
    assert set(LONG) - long == set(), "short again; take it out of LONG"


@pytest.mark.parametrize("name", OURS)
def test_the_docstring_says_what_it_is(name: str) -> None:
    said = describe(name)
    tree = ast.parse((HOUSE / f"{name}.py").read_text(encoding="utf-8"))
    assert said.summary == (ast.get_docstring(tree) or "").splitlines()[0]
    assert 20 <= len(said.summary) <= 110
    assert said.summary.endswith(".")
    library = name.partition("_")[0].lower()
    assert library in said.summary.lower().replace("pytorch", "torch"), "it names its library"


@pytest.mark.parametrize("name", OURS)
def test_what_is_read_agrees_with_what_is_loaded(name: str) -> None:
    said, backend = describe(name), load(name)
    for attribute in ("devices", "dtypes", "view", "packages", "clock", "placements"):
        assert getattr(said, attribute) == getattr(backend, attribute), attribute
    assert said.devices
    assert set(said.devices) <= {"cpu", "cuda"}
    assert set(said.dtypes) <= set(DTYPES)
    assert said.view in ("bits", "values")
    assert said.clock in ("device", "host")
    assert set(said.placements) <= {p for places in PLACEMENTS.values() for p in places}
    assert said.packages, "a result says which version it is of"
    assert said.name == name
    assert issubclass(backend, Backend)
    backend()


@pytest.mark.parametrize("name", OURS)
def test_its_attributes_are_literals(name: str) -> None:
    known = {"devices", "dtypes", "view", "packages", "clock", "placements"}
    tree = ast.parse((HOUSE / f"{name}.py").read_text(encoding="utf-8"))
    (made,) = (c for c in tree.body if isinstance(c, ast.ClassDef) and "Backend" in map(ast.unparse, c.bases))
    for node in made.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) in known:
            raise AssertionError(
                f"{ast.unparse(node.target)} is annotated: describe() reads plain assignments"
            )
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in known:
            ast.literal_eval(node.value)


CUPY = ("cupy-cuda13x>=14|cupy-cuda12x>=14|cupy>=14",)
LACKS = {
    "none": (
        {},
        CUPY,
        ("cupy-cuda13x|cupy-cuda12x|cupy",),
        "needs cupy-cuda13x|cupy-cuda12x|cupy, not installed",
    ),
    "new enough": ({"cupy-cuda12x": "14.0.0rc1"}, CUPY, (), None),
    "newer": ({"cupy": "114.2"}, CUPY, (), None),
    "too old": (
        {"cupy-cuda12x": "13.6.0"},
        CUPY,
        ("cupy-cuda12x>=14 (13.6.0 is installed)",),
        "needs cupy-cuda12x>=14 (13.6.0 is installed)",
    ),
    "what takes the other's place is too old": (
        {"numba-cuda": "0.30.3", "numba": "0.68.1"},
        ("numba-cuda>=0.30.4|numba",),
        ("numba-cuda>=0.30.4 (0.30.3 is installed)",),
        "needs numba-cuda>=0.30.4 (0.30.3 is installed)",
    ),
    "the other": ({"numba": "0.68.1"}, ("numba-cuda>=0.30.4|numba",), (), None),
}


@pytest.mark.parametrize("which", LACKS)
def test_what_is_missing_or_too_old_is_named_with_what_is_needed(which: str) -> None:
    there, packages, missing, reason = LACKS[which]
    assert missing_packages(packages, there.get) == missing
    assert (needs(missing) if missing else None) == reason


@pytest.mark.parametrize("name", ["cupy_rawkernel", "cupy_bulk"])
def test_a_cupy_that_would_get_garbage_arguments_is_unavailable(name: str) -> None:
    assert missing_packages(describe(name).packages, {"cupy-cuda12x": "13.6.0"}.get)
    assert not missing_packages(describe("cupy_take").packages, {"cupy-cuda12x": "13.6.0"}.get)


def test_an_unsupported_request_has_a_reason() -> None:
    assert issubclass(Unsupported, Exception)
    with pytest.raises(TypeError):
        Backend()  # type: ignore[abstract]


# --- finding a backend --------------------------------------------------------------------------------

PLUGIN = '''"""A plugin that takes rows with NumPy."""

import numpy as np

from backends.base import Backend


class Plugin(Backend):
    devices = ("cpu",)
    packages = ("numpy",)

    def prepare(self, table, indices, out):
        return lambda: np.take(table, indices, axis=0, out=out, mode="clip")
'''


@pytest.mark.parametrize("folder", ["plain", "with spaces", "mit Ümläuten und 漢字", "a.b-c"])
def test_a_backend_is_loaded_by_its_path(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "my-take.v2.py"
    path.parent.mkdir()
    path.write_text(PLUGIN)
    assert backends.choose(str(path)).name == "my-take.v2"
    said = describe(str(path))
    assert said.summary == "A plugin that takes rows with NumPy."
    assert said.devices == ("cpu",)
    assert load(str(path)).devices == ("cpu",)
    assert verdict(str(path), laid_out(Case(VOCAB, 129, "float16", 17))) is None


def test_a_backend_is_loaded_by_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "near.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    for which in ("near.py", "./near.py"):
        assert load(which).__name__ == "Plugin"


def test_the_path_of_one_of_ours_is_that_one() -> None:
    path = str(HOUSE / "numpy_take.py")
    assert backends.choose(path).name == "numpy_take"
    assert load(path).devices == load("numpy_take").devices


def entry_point(tmp_path: Path, target: str) -> None:
    """A distribution as installers leave it, with one backend."""
    facts = tmp_path / "far_lookup-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: far-lookup\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[embedding_lookup.backends]\nfar_take = {target}\n")
    (tmp_path / "far_lookup.py").write_text(PLUGIN + "\n\nnot_a_backend = 3\n")


def python(tmp_path: Path, code: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_a_backend_is_loaded_by_its_entry_point(tmp_path: Path) -> None:
    entry_point(tmp_path, "far_lookup:Plugin")
    code = (
        "import sys, backends\n"
        "assert 'far_take' in backends.names()\n"
        "said = backends.describe('far_take')\n"
        "assert 'far_lookup:Plugin' in said.summary, said\n"
        "assert said.packages == ('far-lookup',), said\n"
        "assert backends.missing_packages(said.packages) == ()\n"
        "assert 'far_lookup' not in sys.modules, 'described without importing it'\n"
        "assert backends.load('far_take').__name__ == 'Plugin'\n"
    )
    done = python(tmp_path, code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("edited", ["far/inner/lookup.py", "far/inner/kernel.py", "far/near.py"])
def test_an_entry_point_is_known_by_all_of_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edited: str
) -> None:
    for name in (
        "far/__init__.py",
        "far/inner/__init__.py",
        "far/near.py",
        "far/inner/kernel.py",
        "other.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "far/inner/lookup.py").write_text(PLUGIN)
    found = metadata.EntryPoint("far_take", "far.inner.lookup:Plugin", backends.ENTRY_POINTS)
    monkeypatch.setattr(backends, "_entry_points", lambda: {"far_take": found})
    monkeypatch.syspath_prepend(tmp_path)
    before = backends.choose("far_take")
    (tmp_path / "other.py").write_text("# of another package")
    assert backends.choose("far_take") == before
    (tmp_path / edited).write_text("# edited")
    assert backends.choose("far_take").digest not in (before.digest, None)
    with pytest.raises(UnknownBackend, match=r"^far_take: its file is not what it was when the run began"):
        load(before)


def test_an_entry_point_takes_part_in_a_plan(tmp_path: Path) -> None:
    entry_point(tmp_path, "far_lookup:Plugin")
    code = "from suite.run.__main__ import main; raise SystemExit(main(['--preset', 'smoke', '--dry-run']))"
    done = python(tmp_path, code)
    assert done.returncode == 0, done.stderr
    assert "far_take" in done.stdout


def test_an_entry_point_that_is_no_backend(tmp_path: Path) -> None:
    entry_point(tmp_path, "far_lookup:not_a_backend")
    code = (
        "import backends\ntry:\n    backends.load('far_take')\n"
        "except backends.UnknownBackend as error:\n    print(error)\n"
    )
    done = python(tmp_path, code)
    assert "far_lookup:not_a_backend is not a Backend class" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("which", "says"),
    [
        ("numpy_tke", "did you mean numpy_take?"),
        ("torch_embeding", "did you mean torch_embedding?"),
        ("zzz", "there are "),
        ("", "no such backend"),
        ("base", "no such backend"),
        ("__init__", "no such backend"),
        ("numpy_take/", "no such file"),
        ("nowhere/take.py", "no such file"),
    ],
)
def test_an_unknown_name_gives_the_nearest(which: str, says: str) -> None:
    for ask in (backends.choose, describe, load):
        with pytest.raises(UnknownBackend, match=which or "backend") as error:
            ask(which)
        assert says in str(error.value)
        assert "\n" not in str(error.value)


def test_names_are_sorted_and_hold_all_of_ours() -> None:
    assert set(OURS) <= set(names())
    assert list(names()) == sorted(names())


@pytest.mark.parametrize(
    ("count", "body"), [(0, "x = 1\n"), (2, PLUGIN + "\n\nclass Second(Plugin):\n    pass\n")]
)
def test_a_file_holds_one_backend(tmp_path: Path, count: int, body: str) -> None:
    path = tmp_path / "take.py"
    path.write_text(body)
    with pytest.raises(UnknownBackend, match=f"holds {count} Backend subclasses"):
        load(str(path))


def test_an_imported_backend_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "derived.py"
    path.write_text(
        "from backends.numpy_take import NumpyTake\n\n\nclass Derived(NumpyTake):\n    devices = ('cpu',)\n"
    )
    assert load(str(path)).__name__ == "Derived"


def test_a_syntax_error_is_told_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("def prepare(:\n")
    with pytest.raises(UnknownBackend, match=r"broken\.py: not a Python file") as error:
        describe(str(path))
    assert "line 1" in str(error.value)


def test_a_name_that_is_taken_or_is_none(tmp_path: Path) -> None:
    taken = tmp_path / "numpy_take.py"
    taken.write_text(PLUGIN)
    with pytest.raises(UnknownBackend, match="exists already; rename"):
        load(str(taken))
    for stem in ("with space", "-rf", "é", "_hidden"):
        odd = tmp_path / f"{stem}.py"
        odd.write_text(PLUGIN)
        with pytest.raises(UnknownBackend, match="letters, digits"):
            load(str(odd))


def test_two_plugins_live_beside_each_other(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(PLUGIN.replace("A plugin", name).replace("Plugin", name.title()))
    classes = [load(str(tmp_path / f"{name}.py")) for name in ("one", "two")]
    assert [c.__name__ for c in classes] == ["One", "Two"]
    assert classes[0].__module__ != classes[1].__module__
