"""The rooms of the house, read from the source: who knows whom, who prints, who touches torch, how large."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From pure values down to the commands. A module may import, at any depth, only from modules above it.
FLOORS = (
    "text command case strict quick record stats processes",
    "formula ids data cache ceiling check",
    "nvml_call nvml_fields nvml_figures nvml_gpm nvml_select nvml gpu_probe",
    "environment_files environment_cgroup environment_cpu environment_privacy",
    "environment_software environment",
    "binding timer turns",
    "telemetry tables contender measure worker child supervisor store",
    "folders fields counters bulk outcomes ranking costs summary frame drawing_parts drawing",
    "pairs page_data page export files report compare",
    "doctor_finding doctor_activity doctor_findings doctor_gpu doctor_noise noise doctor",
    "options schedule listing launch progress replay run",
)
ROOMS = " ".join(FLOORS).split()

PRINT = {
    "run": "a command",
    "report": "a command",
    "compare": "a command",
    "doctor": "a command",
    "listing": "what --list answers",
    "progress": "standard error, while it runs",
    "command": "the one-line complaint of every command",
    "gpu_probe": "its child's answer goes through a pipe",
}

TORCH = {
    "data": "owns arrays",
    "timer": "owns events and waits for the device",
    "ceiling": "one of the plain copies is torch's",
    "gpu_probe": "asks in a child process",
    "tables": "asks how much device memory is free, and for the GPU's UUID",
}

LONG = {
    "data": "host and device arrays side by side, so that each can be read against the other",
    "numba_cpu": "one backend, one file: two kernels, and in LLVM what Python has no words for",
}

LIBRARIES = {"torch", "cupy", "numba", "triton", "jax", "cuda", "pynvml", "llvmlite", "tensorflow"}
HEAVY_OUTPUT = {"pandas", "rich", "jinja2", "matplotlib"}
READERS = (
    "text",
    "stats",
    "store",
    "record",
    "fields",
    "counters",
    "bulk",
    "outcomes",
    "ranking",
    "costs",
    "summary",
    "frame",
    "drawing_parts",
    "drawing",
    "pairs",
    "page",
    "page_data",
    "export",
    "files",
    "report",
    "compare",
)
MOST_LINES = 250

# The claims put the suite to use as anybody could: they stand below every room, and no room knows of them.
CLAIM_FLOORS = (
    "names finding words",
    "judged half_length rules model process",
    "place options",
    "one_thread lexicon real_rows glove corpus encoder meaning_rules geometry learned contextual",
    "lookups timed steps training_steps probe size",
    "bandwidth cheapest training ids_out_of_range meaning",
    "stages child drawing render terminal __main__",
)
CLAIM_ROOMS = " ".join(CLAIM_FLOORS).split()
CLAIM_PRINT = {"__main__": "a command", "terminal": "what the command answers"}
CLAIM_TORCH = {
    "size": "asks how much device memory is free",
    "steps": "the other steps of a forward pass are torch's",
    "training_steps": "backward and update are torch's",
    "probe": "asks whether the device still answers",
    "learned": "trains a table",
    "one_thread": "keeps torch to one thread, so that sums come out the same",
    "encoder": "runs a trained model's layers",
}


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


SUITE = {path.stem: tree(path) for path in sorted((ROOT / "suite").glob("*.py"))}
BACKENDS = {path.stem: tree(path) for path in sorted((ROOT / "backends").glob("*.py"))}
CLAIMS = {path.stem: tree(path) for path in sorted((ROOT / "suite/claims").glob("*.py"))}
CONCRETE = {f"backends.{name}" for name in BACKENDS} - {"backends.__init__", "backends.base"}


def test_every_module_has_its_room() -> None:
    assert len(ROOMS) == len(set(ROOMS))
    assert set(ROOMS) == set(SUITE) - {"__init__"}, "give a new module its place in ROOMS"


@pytest.mark.parametrize("name", ROOMS)
def test_a_module_imports_only_from_above(name: str) -> None:
    above = set(ROOMS[: ROOMS.index(name)])
    known = {i.split(".")[1] for i in imports(SUITE[name]) if i.startswith("suite.")} & set(SUITE)
    assert known <= above, f"suite.{name} imports from below: {', '.join(sorted(known - above))}"


def test_the_package_itself_only_opens_the_reading_door() -> None:
    known = {i.split(".")[1] for i in imports(SUITE["__init__"]) if i.startswith("suite.")} & set(SUITE)
    assert known <= set(READERS)
    assert not at_import(SUITE["__init__"]) - {"__future__", "typing"}


def test_nothing_knows_of_the_claims() -> None:
    for name, module in {**SUITE, **BACKENDS}.items():
        assert not [i for i in imports(module) if i.startswith("suite.claims")], f"{name} knows of the claims"


def test_every_module_of_the_claims_has_its_room() -> None:
    assert len(CLAIM_ROOMS) == len(set(CLAIM_ROOMS))
    assert set(CLAIM_ROOMS) == set(CLAIMS) - {"__init__"}, "give a new module its place in CLAIM_FLOORS"
    assert not set(imports(CLAIMS["__init__"]))


@pytest.mark.parametrize("name", CLAIM_ROOMS)
def test_a_claim_imports_only_from_above(name: str) -> None:
    above = set(CLAIM_ROOMS[: CLAIM_ROOMS.index(name)])
    known = {i.split(".")[2] for i in imports(CLAIMS[name]) if re.match(r"suite\.claims\.\w", i)} & set(
        CLAIMS
    )
    assert known <= above, f"suite.claims.{name} imports from below: {', '.join(sorted(known - above))}"


def test_claims_import_what_looks_up_and_what_draws_where_they_use_it() -> None:
    for name, module in CLAIMS.items():
        assert not at_import(module) & (LIBRARIES | HEAVY_OUTPUT), f"suite.claims.{name}"
        assert not CONCRETE & set(imports(module)), f"suite.claims.{name} names a concrete backend"


def test_of_the_claims_only_the_named_modules_import_torch_and_print() -> None:
    assert {name for name, module in CLAIMS.items() if "torch" in set(imports(module))} == set(CLAIM_TORCH)
    assert {name for name, module in CLAIMS.items() if _prints(module)} == set(CLAIM_PRINT)


@pytest.mark.parametrize("name", BACKENDS)
def test_backends_know_nothing_of_the_suite_nor_of_each_other(name: str) -> None:
    assert not [i for i in imports(BACKENDS[name]) if i.partition(".")[0] == "suite"]
    assert not CONCRETE & set(imports(BACKENDS[name]))


@pytest.mark.parametrize("name", SUITE)
def test_nobody_names_a_concrete_backend_but_the_loader(name: str) -> None:
    assert not CONCRETE & set(imports(SUITE[name]))
    for node in ast.walk(SUITE[name]):
        if isinstance(node, ast.Attribute) and node.attr == "import_module":
            raise AssertionError(f"suite.{name} imports by name; that is for backends.load")


def test_all_is_imported_absolutely_and_nothing_is_caught_and_set_to_none() -> None:
    for name, module in {**SUITE, **BACKENDS}.items():
        for node in ast.walk(module):
            if isinstance(node, ast.Try) and any(isinstance(n, ast.Import) for n in node.body):
                for handler in node.handlers:
                    assert not isinstance(handler.body[0], ast.Pass), f"{name}: swallows a failed import"
                    assert "= None" not in ast.unparse(handler), f"{name}: a missing library becomes None"


@pytest.mark.parametrize("name", SUITE)
def test_no_library_that_looks_up_is_imported_with_a_module(name: str) -> None:
    assert not at_import(SUITE[name]) & LIBRARIES


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_imports_its_library_in_prepare(name: str) -> None:
    assert not at_import(BACKENDS[name]) & LIBRARIES


@pytest.mark.parametrize("name", READERS)
def test_readers_of_results_need_neither_torch_nor_a_gpu(name: str) -> None:
    assert not {i.partition(".")[0] for i in imports(SUITE[name])} & LIBRARIES
    rooms = ("data", "timer", "nvml", "telemetry", "contender", "measure", "worker", "supervisor")
    measuring = {f"suite.{room}" for room in rooms}
    assert not set(imports(SUITE[name])) & measuring


def test_tables_and_plots_are_imported_where_they_are_made() -> None:
    found = {name for name, module in SUITE.items() if at_import(module) & HEAVY_OUTPUT}
    assert found <= {"frame", "drawing", "drawing_parts"}, "only they may; all else imports when needed"


def test_only_the_named_modules_import_torch() -> None:
    found = {name for name, module in SUITE.items() if "torch" in set(imports(module))}
    assert found - set(TORCH) == set()
    assert set(TORCH) - found == set(), "no longer imports torch; take it out of TORCH"


def test_only_commands_print() -> None:
    found = {name for name, module in SUITE.items() if _prints(module)}
    assert found <= set(PRINT), f"print in {', '.join(sorted(found - set(PRINT)))}"
    for name, module in BACKENDS.items():
        assert "print(" not in ast.unparse(module), f"backends.{name} prints"


def _prints(module: ast.Module) -> bool:
    calls = [n.func for n in ast.walk(module) if isinstance(n, ast.Call)]
    return any(isinstance(called, ast.Name) and called.id == "print" for called in calls)


def test_files_are_short() -> None:
    lines = {
        path.stem: len(path.read_text(encoding="utf-8").splitlines())
        for folder in ("suite", "suite/claims", "backends")
        for path in (ROOT / folder).glob("*.py")
    }
    long = {name for name, count in lines.items() if count > MOST_LINES}
    assert long - set(LONG) == set(), "split it, or say in LONG why it is one thing"
    assert set(LONG) - long == set(), "no longer over the limit; take it out of LONG"


DOCUMENTED = {
    f"{f}.{n}": m
    for f, of in (("suite", SUITE), ("claims", CLAIMS), ("backends", BACKENDS))
    for n, m in of.items()
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_docstring_says_in_its_first_line_what_the_room_is_for(name: str) -> None:
    module = DOCUMENTED[name]
    first = (ast.get_docstring(module) or "").partition("\n")[0]
    assert len(first) > 15
    assert re.search(r"[.?]$|[.:] +python -m \S", first), f"{name}: {first!r} is no sentence"


def test_the_import_reader_sees_what_it_should() -> None:
    parts = ("import a.b", "from c import d", "if TYPE_CHECKING: import e", "class H: import i")
    module = ast.parse("\n".join((*parts, "def f():\n    import g")))
    assert at_import(module) == {"a", "c", "i"}
    assert set(imports(module)) == {"a.b", "c", "c.d", "e", "g", "i"}
