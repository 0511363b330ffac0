"""What the claims are called, so that a command line is judged before anything is imported. Pure values."""

from __future__ import annotations

GROUPS = ("cost", "meaning")

COST = {
    "size": "The table is one matrix in memory, vocab × dim numbers, and it fits.",
    "index": "A lookup is just an array index, with zero math.",
    "bandwidth": "A lookup is bound by memory bandwidth.",
    "instant": "A lookup is nearly instantaneous.",
    "cheapest": "The lookup is never a bottleneck: it is the cheapest step of the pipeline.",
    "training": "Training touches only the rows looked up, so it costs no more than the lookup does.",
    "out-of-range": "An id that is not in the table is refused.",
}
"""What people say, by name."""

MEANING = {
    "geometry": {
        "near-means-similar": "Words whose vectors are near each other mean similar things.",
        "king-queen": "king − man + woman is near queen.",
        "same-rows": "A lookup returns the same rows whichever library does it.",
    },
    "learned": {"learned-from-noise": "The vectors are learned; they are random noise at first."},
    "contextual": {"static-not-contextual": "The static vector is not the contextual one."},
}
"""The same, by the module that judges them."""

CLAIMS = {**COST, **{name: said for module in MEANING.values() for name, said in module.items()}}
