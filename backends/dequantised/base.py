"""Layout of quantised rows, as their variant has it: where in a row its elements, scale and bias lie."""

from __future__ import annotations

from typing import Any, NamedTuple

from backends.base import Unsupported

Array = Any


class Layout(NamedTuple):
    """How rows are stored. An element is code · scale + bias; where there is no bias (code + offset) · scale.

    Attributes:
        code: of an element: ``int8`` and ``int4`` (unsigned; two in a byte, the first in its lower half),
            ``signed`` (int8) or ``fp8`` (float8_e4m3fn).
        offset: added to a code, where rows have no bias.
        scale: the type of scale and bias: ``float32``, ``float16``, ``e8m0`` (a byte: 127 more than the power
            of two), or empty: the result's.
        codes: bytes of a row before its first element.
        scales: bytes of a row before its scale, which its bias follows; from the row's end if negative. None:
            they are apart, in ``scales`` (vocab, blocks), without a bias.
        block: elements that share a scale; 0: all of a row.
    """

    code: str
    offset: int
    scale: str
    codes: int = 0
    scales: int | None = None
    block: int = 0

    @property
    def apart(self) -> bool:
        """Whether scales are in an array of their own, and there are no biases."""
        return self.scales is None

    def code_bytes(self, dim: int) -> int:
        """Bytes of a row's elements."""
        return dim // 2 if self.code == "int4" else dim


LAYOUTS = {
    "int8-end": Layout("int8", 0, "float32", 0, -8),
    "int8-start": Layout("int8", 0, "float16", 4, 0),
    "int8-apart": Layout("int8", -128, ""),
    "int8-signed": Layout("signed", 0, ""),
    "int4-end": Layout("int4", 0, "float16", 0, -4),
    "int4-start": Layout("int4", 0, "float16", 4, 0),
    "int4-apart": Layout("int4", -8, "", block=32),
    "fp8-apart": Layout("fp8", 0, "e8m0", block=32),
    "fp8-row": Layout("fp8", 0, ""),
}


def layout_of(variant: str, *known: str) -> Layout:
    """The layout of a variant.

    Args:
        known: the variants that a library reads; none: all.

    Raises:
        Unsupported: it does not read this one.
    """
    if variant not in (known or LAYOUTS):
        raise Unsupported(f"reads {', '.join(known or LAYOUTS)}, not {variant}")
    return LAYOUTS[variant]
