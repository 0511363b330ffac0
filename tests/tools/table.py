"""How long the Llama-3-70B table takes to build, and how much memory: python -m tests.tools.table"""

from __future__ import annotations

import resource
import time
from pathlib import Path

from suite.cases.case import Case
from suite.cases.presets import MODELS
from suite.engine import arrays, operands

ROOT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    vocab, dim, dtype = MODELS["llama-3-70b"]
    began = time.perf_counter()
    table = operands.build_table(arrays.HostArrays(), Case(vocab, dim, dtype))
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    size = f"{vocab}x{dim} {dtype}: {table.nbytes / 1e9:.2f} GB"
    print(f"{size} in {took:.1f} s, peak memory {peak / table.nbytes:.3f} of the table")
