"""A device: the CPU, or one GPU by its number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["cpu", "cuda"]

KINDS: tuple[Kind, ...] = get_args(Kind)
_GPU = re.compile(r"cuda:(0|[1-9][0-9]{0,3})")


@dataclass(frozen=True, slots=True)
class Device:
    """Where lookups run; its text, ``cpu`` or ``cuda:N``, is what records and messages hold.

    Attributes:
        kind: what a backend lists among its ``devices``. index: number of the GPU; null of the CPU.

    Raises:
        ValueError: a GPU without a number, or a CPU with one.
    """

    kind: Kind
    index: int | None = None

    def __post_init__(self) -> None:
        if (self.kind == "cuda") != (self.index is not None):
            raise ValueError(f"device {self.kind}: index {self.index}; a GPU has a number, the CPU has none")

    @classmethod
    def of(cls, text: str) -> Device:
        """The device that a record names.

        Raises:
            ValueError: it is neither ``cpu`` nor ``cuda:N``.
        """
        if text == "cpu":
            return CPU
        if not (found := _GPU.fullmatch(text)):
            raise ValueError(f"device {text!r}: unknown; give cpu or cuda:N")
        return cls("cuda", int(found[1]))

    @property
    def is_gpu(self) -> bool:
        """Whether its memory and its queue are a GPU's."""
        return self.kind == "cuda"

    def __str__(self) -> str:
        return self.kind if self.index is None else f"{self.kind}:{self.index}"


CPU = Device("cpu")
