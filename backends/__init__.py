"""Backends, found by name, entry point or path; nothing here knows of timing or results."""

from __future__ import annotations

import ast
import difflib
import functools
import hashlib
import importlib
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from backends.base import DTYPES, Array, Backend, BackendUnavailable, Lookup, Unsupported

__all__ = [
    "DTYPES",
    "Array",
    "Backend",
    "BackendUnavailable",
    "Choice",
    "Description",
    "Lookup",
    "Own",
    "UnknownBackend",
    "Unsupported",
    "VersionOf",
    "choose",
    "describe",
    "distributions",
    "installed",
    "is_path",
    "load",
    "missing_packages",
    "names",
    "needs",
]

ENTRY_POINTS = "embedding_lookup.backends"
APART = ("compiled", "ranks", "__pycache__")
"""Folders here that hold no backends of a run."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
T = TypeVar("T")
_HOUSE = Path(__file__).parent


class UnknownBackend(LookupError):
    """There is no backend with this name or path; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend as it was chosen.

    Attributes:
        name: what records call it. source: where it is loaded from: that name, or the path of a file.
        digest: of its file, and of the modules beside that it imports, of an entry point its whole package;
            null where it has none. No other content is loaded for it.
    """

    name: str
    source: str
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Own(Choice):
    """A backend of the caller's own process, by its class: no other process can load it."""

    backend: type[Backend] = field(kw_only=True)


@dataclass(frozen=True)
class Description:
    """Class attributes and docstring of a backend, read without importing it.

    Attributes:
        whose: as the backend says it; ``"other"`` of one outside this tree that does not.
    """

    name: str
    summary: str
    devices: tuple[str, ...]
    dtypes: tuple[str, ...]
    view: str
    packages: tuple[str, ...]
    clock: str
    whose: str
    placements: tuple[str, ...] = ()
    operation: str = "lookup"

    def takes(self, placement: str, operation: str = "lookup") -> bool:
        """Whether it is for this operation, and for tables of this placement."""
        return self.operation == operation and (not self.placements or placement in self.placements)


def names() -> tuple[str, ...]:
    """Names of the backends in this tree and of installed entry points, sorted; imports none of them."""
    return tuple(sorted({*_files(), *_entry_points()}))


@functools.cache
def _files() -> dict[str, Path]:
    """The file of every backend in this tree: lookups lie here, each other operation has a folder."""
    found = [path for path in (*_HOUSE.glob("*.py"), *_HOUSE.glob("*/*.py")) if path.parent.name not in APART]
    return {path.stem: path for path in found if path.stem not in ("__init__", "base")}


def choose(which: str) -> Choice:
    """The backend that NAME, path/to/file.py or NAME=path/to/file.py stands for.

    Raises:
        UnknownBackend: no backend has this name, the file is missing, or its name can't be a backend's.
    """
    name, _, source = which.partition("=")
    given = bool(_NAME.fullmatch(name)) and is_path(source) and not Path(which).is_file()
    if not given:
        name, source = Path(which).stem, which
    if not is_path(source):
        if which not in names():
            near = difflib.get_close_matches(which, names(), n=1)
            of_library = [name for name in names() if name.startswith(f"{which}_")] or names()
            hint = f"there are {', '.join(of_library)}"
            if near and of_library == names():
                hint = f"did you mean {near[0]}?"
            raise UnknownBackend(f"{which}: no such backend; {hint}")
        return Choice(which, which, _digest(which, which))
    path = Path(source)
    if not path.is_file():
        raise UnknownBackend(f"{which}: no such file; give a backend's name or the path of its file")
    if not _NAME.fullmatch(name):
        raise UnknownBackend(f"{which}: the file name is the backend's name; use letters, digits, . _ -")
    if name in names() and (name not in _files() or path.resolve() != _files()[name].resolve()):
        how = "give another name" if given else "rename the file, or give NAME=FILE"
        raise UnknownBackend(f"{which}: a backend named {name} exists already; {how}")
    return Choice(name, source, _digest(name, source))


def load(which: str | Choice) -> type[Backend]:
    """The backend class behind a name, an entry point's name, a path to a file, or a choice.

    Raises:
        UnknownBackend: there is no such backend, or its file has none or more than one, or is not what it
            was when it was chosen.
    """
    choice = choose(which) if isinstance(which, str) else which
    if isinstance(choice, Own):
        return choice.backend
    _check_unchanged(choice)
    found = _loaded(choice)
    _check_unchanged(choice)  # it may have been replaced meanwhile
    return found


def _check_unchanged(choice: Choice) -> None:
    if choice.digest is not None and _digest(choice.name, choice.source) != choice.digest:
        what = "its file is not what it was when the run began; start a new run with it"
        raise UnknownBackend(f"{choice.name}: {what}")


def _loaded(choice: Choice) -> type[Backend]:
    name, source, entry_points = choice.name, choice.source, _entry_points()
    if not is_path(source) and name in entry_points and name not in _files():
        loaded = entry_points[name].load()
        if not (isinstance(loaded, type) and issubclass(loaded, Backend)):
            raise UnknownBackend(f"{name}: entry point {entry_points[name].value} is not a Backend class")
        return loaded
    module = _import_file(name, Path(source)) if is_path(source) else _import_own(_files()[name])
    return class_in(module, Backend, source)  # type: ignore[type-abstract]


def class_in(module: ModuleType, kind: type[T], source: str) -> type[T]:
    """The only subclass of a kind that a module defines.

    Raises:
        UnknownBackend: it defines none, or several.
    """
    found = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, kind)]
    own = [c for c in found if c.__module__ == module.__name__]
    if len(own) != 1:
        name = kind.__name__
        raise UnknownBackend(
            f"{source}: holds {len(own)} {name} subclasses; a {name.lower()}'s file holds one"
        )
    return own[0]


def describe(which: str | Choice) -> Description:
    """Describe a backend from its source; neither it nor its library is imported.

    Raises:
        UnknownBackend: there is no such backend, or its file can't be parsed.
    """
    choice = choose(which) if isinstance(which, str) else which
    if isinstance(choice, Own):
        return _described(choice)
    name, source = choice.name, choice.source
    path = Path(source) if is_path(source) else _files().get(name)
    if path is None or not path.is_file():
        entry_point = _entry_points()[name]
        summary = f"entry point {entry_point.value}"
        return Description(name, summary, (), DTYPES, "bits", _distribution(entry_point), "device", "other")
    try:
        tree = _parsed(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError, RecursionError) as error:
        raise UnknownBackend(f"{source}: not a Python file that can be read ({error})") from None
    try:
        facts = dict(_facts(tree))
    except (ValueError, TypeError, RecursionError, MemoryError):
        what = "one holds a class whose attributes are words, or tuples of words"
        raise UnknownBackend(f"{source}: not a backend's file; {what}") from None
    return Description(
        name,
        (ast.get_docstring(tree) or "").partition("\n")[0],
        facts.get("devices", ()),
        facts.get("dtypes", DTYPES),
        facts.get("view", ("bits",))[0],
        facts.get("packages", ()),
        facts.get("clock", ("device",))[0],
        facts.get("whose", ("other",) if is_path(source) else ("library",))[0],
        facts.get("placements", ()),
        facts.get("operation", ("lookup",))[0],
    )


def _described(own: Own) -> Description:
    one = own.backend
    summary = (one.__doc__ or "").partition("\n")[0]
    words = one.devices, one.dtypes, one.view, one.packages, one.clock
    return Description(own.name, summary, *words, "other", operation=one.operation)


_parsed = functools.lru_cache(maxsize=256)(ast.parse)
"""A plan describes each backend time and again."""


def _facts(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Names and values of the attributes in a Description that the file's classes set.

    Raises:
        ValueError, TypeError, RecursionError, MemoryError: one is no literal, or not of strings.
    """
    known = ("devices", "dtypes", "view", "packages", "clock", "whose", "placements", "operation")
    classes = [c for c in tree.body if isinstance(c, ast.ClassDef)]
    if not classes:
        raise ValueError("no class")
    for node in (n for c in classes for n in c.body):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id in known and getattr(node, "value", None):
            value = ast.literal_eval(node.value)  # type: ignore[attr-defined]
            words = (value,) if isinstance(value, str) else value
            if not (isinstance(words, tuple) and all(isinstance(word, str) for word in words)):
                raise ValueError(target.id)
            yield target.id, words


VersionOf = Callable[[str], str | None]
"""The version of a distribution that is installed; None of one that is not."""


@functools.cache  # a plan asks time and again
def installed(distribution: str) -> str | None:
    """Its version from its metadata, without importing it; None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def distributions(packages: Iterable[str]) -> list[str]:
    """The names alone of what a backend needs, alternatives apart."""
    return [name for words in packages for name, _ in _alternatives(words)]


def missing_packages(packages: Iterable[str], version_of: VersionOf = installed) -> tuple[str, ...]:
    """Distributions of a backend that are not installed, or too old; imports none of them.

    Of alternatives the first that is installed counts, since it is what the backend gets. Each as the
    backend names it, without its versions; of one that is too old what it needs and what there is, as in
    ``cupy-cuda12x>=14 (13.6.0 is installed)``.
    """
    found = (_lacking(words, version_of) for words in packages)
    return tuple(one for one in found if one is not None)


def needs(missing: Sequence[str]) -> str:
    """What ``missing_packages`` found as a reason."""
    old = any(one.endswith(")") for one in missing)
    return f"needs {', '.join(missing)}{'' if old else ', not installed'}"


def _lacking(words: str, version_of: VersionOf) -> str | None:
    alternatives = _alternatives(words)
    for name, least in alternatives:
        version = version_of(name)
        if version is not None:
            old = _release(version) < _release(least)
            return f"{name}>={least} ({version} is installed)" if old else None
    return "|".join(name for name, _ in alternatives)


def _alternatives(words: str) -> list[tuple[str, str]]:
    """Names, and the least version of each; empty where any does."""
    parts = (word.partition(">=") for word in words.split("|"))
    return [(name.strip(), least.strip()) for name, _, least in parts]


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a release; those of a pre-release are the release's."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, numbers[0].split("."))) if numbers else ()


def is_path(which: str) -> bool:
    """Whether a word is the path of a backend's file, and not a name."""
    return which.endswith(".py") or "/" in which


@functools.cache
def _entry_points() -> dict[str, metadata.EntryPoint]:
    return {e.name: e for e in metadata.entry_points(group=ENTRY_POINTS) if _NAME.fullmatch(e.name)}


def _distribution(entry_point: metadata.EntryPoint) -> tuple[str, ...]:
    return (entry_point.dist.name,) if entry_point.dist else ()


def _digest(name: str, source: str) -> str | None:
    """What tells the content of a backend's file from any other; null where there is no file to be read."""
    if is_path(source):
        files = _with_those_beside(Path(source))
    elif file := _files().get(name):
        files = [file]
    else:
        files = _with_its_package(_file_of(_entry_points()[name]))
    try:
        contents = [hashlib.sha256(file.read_bytes()).digest() for file in files]
    except OSError:
        return None
    return hashlib.sha256(b"".join(contents)).hexdigest()[:16] if contents else None


def _with_those_beside(path: Path) -> list[Path]:
    """A file and the files beside it that it imports, and those that they import, in order."""
    found, waiting = dict[Path, None](), [path]
    while waiting:
        file = waiting.pop()
        found[file] = None
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
            continue  # whoever loads it says what it is
        for name in sorted({*_imported(tree)} - {"backends"}):
            inside = sorted((path.parent / name).rglob("*.py"))  # of a package, all
            known = [path.parent / f"{name}.py", *inside]
            waiting += [file for file in known if file.is_file() and file not in found]
    return list(found)


def _with_its_package(path: Path | None) -> list[Path]:
    """All modules of the package that an entry point's file lies in, in order; of a lone file itself."""
    if path is None:
        return []
    top = path.parent
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    return sorted(top.rglob("*.py")) if (top / "__init__.py").is_file() else [path]


def _imported(tree: ast.Module) -> Iterator[str]:
    """First parts of the names of the modules that are imported anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def _file_of(entry_point: metadata.EntryPoint) -> Path | None:
    """The file of an entry point's module; null where that can't be told without importing something."""
    top, *inner = entry_point.module.split(".")
    try:
        spec, name = importlib.util.find_spec(top), top
        for part in inner:
            name = f"{name}.{part}"
            inside = [*(spec.submodule_search_locations or ())] if spec else []
            spec = importlib.machinery.PathFinder.find_spec(name, inside)
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin) if spec and spec.origin and Path(spec.origin).is_file() else None


def _import_own(path: Path) -> ModuleType:
    return importlib.import_module(".".join(("backends", *path.relative_to(_HOUSE).with_suffix("").parts)))


def _import_file(name: str, path: Path) -> ModuleType:
    qualified = f"backends._plugin_{re.sub(r'[^A-Za-z0-9]', '_', name)}"
    spec = importlib.util.spec_from_file_location(qualified, path)
    if spec is None or spec.loader is None:
        raise UnknownBackend(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[qualified] = module
    beside = str(path.resolve().parent)
    if beside not in sys.path:  # last, so that what lies there takes no other module's place
        sys.path.append(beside)
    # Not by exec_module, which takes compiled code of a file of the same size and second for this one's.
    exec(compile(path.read_bytes(), spec.origin or str(path), "exec", dont_inherit=True), vars(module))
    return module
