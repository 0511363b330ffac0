"""The sum over ranks of rows seen as integers, zeros where a rank has none: no bit is lost."""

from backends.ranks.base import as_sums
from backends.ranks.masked_all_reduce import MaskedAllReduce


class MaskedAllReduceBits(MaskedAllReduce):
    sharding = "row"
    summed = staticmethod(as_sums)
