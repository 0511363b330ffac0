"""Variables of a measuring process: those passed on, those recorded as well, and those taken away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from suite.machine.privacy import without_paths

if TYPE_CHECKING:
    from suite.records.record import Fact

Fate = Literal["passed", "recorded", "taken away"]
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""By these a library is told how many threads it may use."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of the variables whose whole name a pattern matches, and why."""

    fate: Fate
    names: str
    why: str


TABLE = (
    Rule("taken away", r"(COV_CORE|COVERAGE)_\w+", "coverage would trace what is timed"),
    Rule("taken away", r"(PYDEVD|DEBUGPY|PYCHARM)_\w+|PYTHONBREAKPOINT|PYTHONINSPECT", "a debugger follows"),
    Rule("taken away", r"PYTHON(TRACEMALLOC|MALLOC|MALLOCSTATS)", "each allocation would be traced"),
    Rule("taken away", r"PYTHON(DEVMODE|ASYNCIODEBUG|PROFILEIMPORTTIME|VERBOSE|DUMPREFS\w*)", "slows Python"),
    Rule("taken away", r"NUMBA_DISABLE_JIT", "Numba's kernels would be interpreted"),
    Rule("taken away", r"CUDA_MODULE_LOADING|XLA_PYTHON_CLIENT_PREALLOCATE", "the suite has its own value"),
    Rule("taken away", r"\w*(API_?KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)\w*", "a secret"),
    Rule("passed", r"PATH|HOME|USER|LOGNAME|SHELL|TERM|COLUMNS|TZ|LANG|LANGUAGE|LC_\w+", "who and where"),
    Rule("passed", r"TMPDIR|TEMP|TMP|XDG_\w+|VIRTUAL_ENV|CONDA_\w+|CC|CXX", "places and compilers"),
    Rule("passed", r"PYTHON(HOME|USERBASE|NOUSERSITE|PYCACHEPREFIX|DONTWRITEBYTECODE)", "where modules are"),
    Rule("passed", r"PYTHON(UTF8|IOENCODING|WARNINGS|UNBUFFERED|SAFEPATH|INTMAXSTRDIGITS)", "text and words"),
    Rule("passed", r"LD_LIBRARY_PATH", "where libraries are"),
    Rule(
        "passed",
        r"(MKL|NUMBA|TORCH\w*|TRITON|CUDA|CUPY|JAX|XLA|NVRTC|WARP)_\w*(DIR|PATH|HOME|ROOT|KEY)",
        "where libraries keep things",
    ),
    Rule("recorded", r"(OMP|GOMP|KMP|MKL|OPENBLAS|GOTO|BLIS|VECLIB|NUMEXPR|TBB)_\w+", "threads and kernels"),
    Rule("recorded", r"NUMBA_\w+|LLVM\w*_\w+", "how Numba compiles"),
    Rule("recorded", r"(TORCH\w*|PYTORCH|ATEN|C10|AOT\w*|DNNL|ONEDNN|TRITON)_\w+", "how torch runs"),
    Rule("recorded", r"(NPY|NUMPY)_\w+|PYTHON(HASHSEED|OPTIMIZE|_GIL|_JIT)", "how NumPy and Python run"),
    Rule("recorded", r"MALLOC_\w+|(JE_)?MALLOC_CONF|GLIBC_TUNABLES|LD_PRELOAD|LD_BIND_NOW", "memory"),
    Rule("recorded", r"(CUDA|CUBLAS|CUPY|NVIDIA|NVML|NCCL|NVRTC|WARP|HIP|ROCR)_\w+", "how GPUs are used"),
    Rule("recorded", r"(GLOO|UCX|UCC)_\w+", "how ranks talk"),
    Rule("recorded", r"(JAX|XLA|TF_XLA|ORT|ARROW|FBGEMM)_\w+", "how other libraries run"),
)
"""The first that matches a name holds. What none matches is taken away: nothing here needs it."""
_RULES = tuple((re.compile(rule.names), rule) for rule in TABLE)


def fate(name: str) -> Rule | None:
    """The rule of a variable; None for one that no rule names, which is taken away."""
    return next((rule for pattern, rule in _RULES if pattern.fullmatch(name)), None)


def passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """What a measuring process gets of an environment."""
    rules = {name: fate(name) for name in environ}
    return {name: environ[name] for name, rule in rules.items() if rule and rule.fate != "taken away"}


def recorded(environ: Mapping[str, str], private: Iterable[str]) -> dict[str, Fact]:
    """The variables that are passed on and can change a time or its meaning, without paths and names."""
    return {name: without_paths(environ[name], private) for name in _of(environ, "recorded")}


def taken_away(environ: Mapping[str, str]) -> list[str]:
    """The variables that are taken away for what they would do; of others and of secrets nothing is said."""
    return [name for name in _of(environ, "taken away") if fate(name) not in (None, _SECRET, _OWN)]


def _of(environ: Mapping[str, str], which: Fate) -> Sequence[str]:
    rules = ((name, fate(name)) for name in sorted(environ))
    return [name for name, rule in rules if rule is not None and rule.fate == which]


_SECRET = next(rule for rule in TABLE if rule.why == "a secret")
_OWN = next(rule for rule in TABLE if rule.why == "the suite has its own value")
