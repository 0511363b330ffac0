"""Each rank gets the sum of its share of rows seen as integers, zeros where it has none: no bit is lost."""

from backends.ranks.base import as_sums
from backends.ranks.masked_reduce_scatter import MaskedReduceScatter


class MaskedReduceScatterBits(MaskedReduceScatter):
    sharding = "row"
    summed = staticmethod(as_sums)
