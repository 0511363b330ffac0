"""The rooms of the house, read from the source: who may import whom, who prints, how large."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BELOW_ENGINE = "telemetry machine records cases stats units text"
BELOW_REPORT = "analysis records cases units stats text"
ALLOWED = {
    "text": "",
    "stats": "",
    "units": "stats text",
    "command": "stats text",
    "cases": "command units stats text",
    "records": "cases stats text",
    "machine": "records text",
    "telemetry": "records machine backends text",  # names of processes are text from outside
    "engine": f"backends {BELOW_ENGINE}",
    "worker": f"engine backends {BELOW_ENGINE}",
    "analysis": "records cases stats units text",
    "best": f"command {BELOW_REPORT}",
    "report": f"best command backends {BELOW_REPORT}",  # what a backend is, in its file's own words
    "compare": f"report command {BELOW_REPORT}",
    "run": f"worker engine report analysis command backends {BELOW_ENGINE}",
    "inline": f"run worker engine best analysis command backends {BELOW_ENGINE}",
    "ranks": f"worker engine command backends {BELOW_ENGINE}",
    "doctor": f"worker engine command backends {BELOW_ENGINE}",
    "claims": f"worker engine report analysis command backends {BELOW_ENGINE}",
    "__main__": "command",
    "merge": f"run worker report analysis machine command {BELOW_REPORT}",
    "fleet": "run cases command",
}
"""What each room may import; the two halves, engine's and report's, meet in records and below only."""

LIBRARIES = {"torch", "cupy", "numba", "triton", "jax", "cuda", "pynvml", "llvmlite", "tensorflow"}
HEAVY_OUTPUT = {"pandas", "rich", "jinja2", "matplotlib"}
DRAWS = {"analysis.frame", "best.table", "claims.plots", "report.plots", "report.panels"}
"""Whoever imports these asks for a table or a figure."""

PRINT = {
    "__main__": "a command",
    "run.__main__": "a command",
    "compare.__main__": "a command",
    "best.__main__": "a command",
    "doctor.__main__": "a command",
    "merge.__main__": "a command",
    "fleet.__main__": "a command",
    "claims.__main__": "a command",
    "ranks.__main__": "a command",
    "claims.terminal": "what the command answers",
    "run.listing": "what --list answers",
    "run.progress": "standard error, while it runs",
    "run.single": "what --debug and --profile answer",
    "command": "the one-line error of every command",
    "machine.cuda_device": "its child's answer goes through a pipe",
}

TORCH = {
    "engine.arrays": "owns arrays",
    "engine.clocks.choice": "gives a clock its device",
    "engine.clocks.marked": "marks a launch for a profiler",
    "engine.ceiling": "one of the plain copies is torch's",
    "machine.cuda_device": "asks what the GPU is",
    "worker.devices": "asks how much device memory is free",
    "ranks.__main__": "keeps the store that ranks meet at",
    "ranks.contest": "ranks tell each other what they found",
    "ranks.part": "the parts of a table are torch's tensors",
    "ranks.worker": "joins the group of ranks",
    "claims.cost.size": "asks how much device memory is free",
    "claims.cost.steps": "the other steps of a forward pass are torch's",
    "claims.cost.out_of_range": "asks whether the device still answers",
    "claims.meaning.learned": "trains a table",
    "claims.meaning.encoder": "runs a trained model's layers",
}

CALLED = "best"
"""This package is a command and a function of notebooks of the same name, so it can be called."""
MOST_MODULES = 12
MOST_LINES = 40


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(top: ast.AST) -> Iterator[str]:
    """Dotted names that are imported anywhere below: ``from a import b`` gives ``a`` and ``a.b``."""
    for node in ast.walk(top):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_import(module: ast.Module) -> set[str]:
    """Top-level packages imported when the module is: not those in functions or under TYPE_CHECKING."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(module.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {name.partition(".")[0] for name in imports(node)}
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)
    return found


def rooms_of(module: ast.Module) -> set[str]:
    """The rooms that a module imports from, ``backends`` among them."""
    names = [name.split(".") for name in imports(module)]
    return {
        "backends" if name[0] == "backends" else name[1]
        for name in names
        if name[0] == "backends" or (name[:1] == ["suite"] and len(name) > 1)
    }


def dotted(path: Path, top: Path) -> str:
    return ".".join(path.relative_to(top).with_suffix("").parts)


SUITE = {dotted(path, ROOT / "suite"): tree(path) for path in sorted((ROOT / "suite").rglob("*.py"))}
MODULES = {name: module for name, module in SUITE.items() if name.rpartition(".")[2] != "__init__"}
PACKAGES = {name.rpartition(".")[0]: SUITE[name] for name in SUITE if name.endswith(".__init__")}
BACKENDS = {path.stem: tree(path) for path in sorted((ROOT / "backends").glob("*.py"))}
CONCRETE = {f"backends.{name}" for name in BACKENDS} - {"backends.__init__", "backends.base"}


def forbidden(name: str, module: ast.Module) -> set[str]:
    """The rooms that a module imports from and may not."""
    room = name.partition(".")[0]
    return rooms_of(module) - {room} - set(ALLOWED[room].split())


def test_every_room_has_its_line() -> None:
    assert {name.partition(".")[0] for name in MODULES} == set(ALLOWED)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_from_the_rooms_it_may(name: str) -> None:
    assert not forbidden(name, MODULES[name])


def test_no_room_imports_itself_through_others() -> None:
    """In ALLOWED each room stands after all that it may import."""
    known = {"backends"}
    for room, allowed in ALLOWED.items():
        assert set(allowed.split()) <= known, room
        known.add(room)


def test_no_module_imports_itself_through_others() -> None:
    """Nor under TYPE_CHECKING or in a function: two that need each other are one, or a third is missing."""
    needs = {
        name: {i.removeprefix("suite.") for i in imports(m)} & set(MODULES) for name, m in MODULES.items()
    }
    while ready := [name for name, on in needs.items() if not on & set(needs)]:
        needs = {name: on for name, on in needs.items() if name not in ready}
    assert not needs, "circles, and what depends on them"


def test_a_forbidden_import_is_seen() -> None:
    for text in (
        "from suite.engine import arrays",
        "import suite.run.options",
        "def f():\n  from backends import load",
    ):
        assert forbidden("analysis.frame", ast.parse(text)), text
    assert not forbidden("analysis.frame", ast.parse("from suite.records.record import Record"))


def test_the_packages_themselves_import_nothing() -> None:
    for name, module in PACKAGES.items():
        if name != CALLED:
            assert not set(imports(module)), name
            assert len(module.body) == 1, f"{name}: more than a docstring"
    assert not at_import(PACKAGES[CALLED]) - {"sys", "types", "typing"}
    reading = rooms_of(SUITE["__init__"])
    assert reading == {"analysis", "best", "inline", "report"}
    assert not at_import(SUITE["__init__"]) - {"__future__", "typing"}


def test_a_package_is_no_store_of_modules() -> None:
    for package in PACKAGES:
        inside = [
            name for name in MODULES if name.rpartition(".")[0] == package and not name.endswith("__main__")
        ]
        assert len(inside) <= MOST_MODULES, package


@pytest.mark.parametrize("name", BACKENDS)
def test_backends_know_nothing_of_the_suite_nor_of_each_other(name: str) -> None:
    assert not [i for i in imports(BACKENDS[name]) if i.partition(".")[0] == "suite"]
    assert not CONCRETE & set(imports(BACKENDS[name]))


@pytest.mark.parametrize("name", SUITE)
def test_nobody_names_a_concrete_backend_but_the_loader(name: str) -> None:
    assert not CONCRETE & set(imports(SUITE[name]))
    for node in ast.walk(SUITE[name]):
        if isinstance(node, ast.Attribute) and node.attr == "import_module":
            assert name == "cases.operations.registry", f"{name} imports by name; that is for backends.load"


def test_all_is_imported_absolutely_and_nothing_is_caught_and_set_to_none() -> None:
    for name, module in {**SUITE, **BACKENDS}.items():
        for node in ast.walk(module):
            if isinstance(node, ast.Try) and any(isinstance(n, ast.Import) for n in node.body):
                for handler in node.handlers:
                    assert not isinstance(handler.body[0], ast.Pass), f"{name}: swallows a failed import"
                    assert "= None" not in ast.unparse(handler), f"{name}: a missing library becomes None"


@pytest.mark.parametrize("name", MODULES)
def test_libraries_that_look_up_or_draw_are_imported_where_they_are_used(name: str) -> None:
    found = at_import(MODULES[name])
    assert not found & LIBRARIES
    assert name in DRAWS or not found & HEAVY_OUTPUT


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_imports_its_library_in_prepare(name: str) -> None:
    assert not at_import(BACKENDS[name]) & LIBRARIES


@pytest.mark.parametrize(
    "name", [name for name in MODULES if name.split(".")[0] in ("analysis", "best", "report", "compare")]
)
def test_readers_of_results_need_neither_torch_nor_a_gpu(name: str) -> None:
    assert not {i.partition(".")[0] for i in imports(MODULES[name])} & LIBRARIES


def test_only_the_named_modules_import_torch() -> None:
    assert {name for name, module in MODULES.items() if "torch" in set(imports(module))} == set(TORCH)


def test_only_the_named_modules_print() -> None:
    found = {name for name, module in MODULES.items() if _prints(module)}
    assert found == set(PRINT)
    for name, module in BACKENDS.items():
        assert not _prints(module), f"backends.{name} prints"


def _prints(module: ast.Module) -> bool:
    calls = [n.func for n in ast.walk(module) if isinstance(n, ast.Call)]
    return any(isinstance(called, ast.Name) and called.id == "print" for called in calls)


def test_functions_are_short() -> None:
    long = {
        f"{name}.{node.name}"
        for name, module in {**MODULES, **BACKENDS}.items()
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= MOST_LINES
    }
    assert not long


DOCUMENTED = {
    **{f"suite.{n}": m for n, m in SUITE.items()},
    **{f"backends.{n}": m for n, m in BACKENDS.items()},
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_docstring_says_in_its_first_line_what_the_module_is_for(name: str) -> None:
    first = (ast.get_docstring(DOCUMENTED[name]) or "").partition("\n")[0]
    assert len(first) > 15
    assert re.search(r"[.?]$|[.:] +python -m \S", first), f"{name}: {first!r} is no sentence"


def test_the_import_reader_sees_what_it_should() -> None:
    parts = ("import a.b", "from c import d", "if TYPE_CHECKING: import e", "class H: import i")
    module = ast.parse("\n".join((*parts, "def f():\n    import g")))
    assert at_import(module) == {"a", "c", "i"}
    assert set(imports(module)) == {"a.b", "c", "c.d", "e", "g", "i"}
