"""How long the Llama-3-70B table takes to build, and how much memory: python tests/figures/table.py"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from suite import data  # noqa: E402
from suite.case import MODELS  # noqa: E402

if __name__ == "__main__":
    vocab, dim, dtype = MODELS["llama-3-70b"]
    began = time.perf_counter()
    table = data.build_table(data.HostArrays(), vocab, dim, dtype)
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    size = f"{vocab}x{dim} {dtype}: {table.nbytes / 1e9:.2f} GB"
    print(f"{size} in {took:.1f} s, peak memory {peak / table.nbytes:.3f} of the table")
