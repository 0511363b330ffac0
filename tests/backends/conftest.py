"""Memory shared by the tests of kernels."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[Any]

# What torch.compile would find out by compiling for each instruction set of the processor, some 7 s of it.
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")


@pytest.fixture(scope="session")
def noise() -> Array:
    return np.random.default_rng(5).integers(0, 256, 8 << 20, dtype=np.uint8)
