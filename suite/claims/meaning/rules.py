"""What makes a meaning claim TRUE, FALSE or IT DEPENDS: numbers in, a verdict out. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from suite.claims.finding import Verdict
from suite.stats import Estimate

Z = 1.959964
"""Standard deviations that hold 95 % of a normal law."""
MOSTLY = 0.75
CHANCE = 0.5
CONTROL_MOST = 0.25
"""A control that may reach this share has not failed, so that the test shows nothing."""
LEARNED = 0.9


def share(hits: int, of: int) -> Estimate:
    """A share with its 95 % interval; unknown for none (E. B. Wilson, JASA 22, 1927)."""
    if not of:
        return Estimate(math.nan, 0.0, 1.0)
    p, spread = hits / of, Z * Z / of
    middle = (p + spread / 2) / (1 + spread)
    half = Z * math.sqrt(p * (1 - p) / of + spread / of / 4) / (1 + spread)
    return Estimate(p, max(0.0, middle - half), min(1.0, middle + half))


def percent(part: Estimate) -> str:
    """A share as people read it: 57 % (47–66 %)."""
    return f"{whole(part.value)} ({100 * part.low:.0f}–{whole(part.high)})"


def whole(part: float) -> str:
    """57 %."""
    return f"{100 * part:.0f} %"


NEAR_RULE = (
    f"TRUE if for at least {whole(MOSTLY)} of the words (lower end of the 95 % interval) the nearest of the "
    "others is of the same group, and for as many triples what means alike is nearer than the opposite; "
    f"FALSE if the first may be no more than {whole(CHANCE)} (upper end); else IT DEPENDS. The test counts "
    f"only if a table of random numbers stays under {whole(CONTROL_MOST)} (upper end)."
)


def near(same_group: Estimate, like_before_opposite: Estimate, control: Estimate) -> Verdict:
    """By ``NEAR_RULE``."""
    if control.high >= CONTROL_MOST:
        return "NOT MEASURED"
    if same_group.low <= CHANCE:
        return "FALSE" if same_group.high <= CHANCE else "IT DEPENDS"
    return "TRUE" if min(same_group.low, like_before_opposite.low) >= MOSTLY else "IT DEPENDS"


ROYAL_RULE = (
    "TRUE if queen comes first with nothing left out, and so do the answers to most of the set (lower end "
    f"of the 95 % interval over {whole(CHANCE)}); FALSE if queen is not first even with the words left out, "
    f"and no more than {whole(CHANCE)} of the set may be right (upper end); else IT DEPENDS. The test counts "
    f"only if a table of random numbers stays under {whole(CONTROL_MOST)} (upper end)."
)


def royal(place_in: int, place_out: int, left_in: Estimate, left_out: Estimate, control: Estimate) -> Verdict:
    """By ``ROYAL_RULE``.

    Args:
        place_in, place_out: the place of queen, 1 the nearest, with king, man and woman left in and left out.
        left_in, left_out: share of the set whose answer comes first.
        control: the same in a table of random numbers, inputs left out.
    """
    if control.high >= CONTROL_MOST:
        return "NOT MEASURED"
    if place_in == 1 and left_in.low > CHANCE:
        return "TRUE"
    return "FALSE" if place_out > 1 and left_out.high <= CHANCE else "IT DEPENDS"


LEARNED_RULE = (
    "How often a pair of words from like contexts has a larger cosine than the same words paired otherwise: "
    f"TRUE if that is no more than {whole(MOSTLY)} at the start (upper end of the 95 % interval), at least "
    f"{whole(LEARNED)} at the end (lower end), and no more than {whole(MOSTLY)} where the same words were "
    "trained on in shuffled order; FALSE if the end can't be told from the start; else IT DEPENDS."
)


def learned(start: Estimate, end: Estimate, shuffled: Estimate) -> Verdict:
    """By ``LEARNED_RULE``."""
    if end.low <= start.high:
        return "FALSE"
    noise = max(start.high, shuffled.high) <= MOSTLY
    return "TRUE" if noise and end.low >= LEARNED else "IT DEPENDS"


CONTEXTUAL_RULE = (
    "TRUE if the word's row is the same bits in every sentence and, for every word after the last layer, the "
    "mean cosine is larger within a sense than between senses (lower end of the gap's 95 % interval over "
    f"0) and most nearest uses are of the same sense (lower end over {whole(CHANCE)}); FALSE if the rows "
    "differ, or for no word the gap is over 0; else IT DEPENDS. The test counts only if sentences split "
    "without regard to sense show no such gap."
)


def contextual(
    static_same: bool, words: Sequence[tuple[Estimate, Estimate]], mixed: Sequence[Estimate]
) -> Verdict:
    """By ``CONTEXTUAL_RULE``.

    Args:
        static_same: whether all occurrences of a word have the same row.
        words: of each, after the last layer, mean cosine within a sense less that between senses, and the
            share of uses whose nearest other use is of the same sense.
        mixed: the gap of a split that has as many sentences of each sense on both sides.
    """
    if any(gap.low > 0 for gap in mixed):
        return "NOT MEASURED"
    apart = [gap.low > 0 for gap, _ in words]
    if not static_same or not any(apart):
        return "FALSE"
    return "TRUE" if all(apart) and all(found.low > CHANCE for _, found in words) else "IT DEPENDS"


ROWS_RULE = (
    "TRUE if all backends that return rows return the table's own bits in every layout; FALSE if one returns "
    "other bits; IT DEPENDS if one fails in a layout it did not refuse; NOT MEASURED with fewer than two."
)


def same_rows(outcomes: Sequence[tuple[str, str]]) -> Verdict:
    """By ``ROWS_RULE``, from (backend, what it did) in each layout: same, other, refused or failed."""
    did = [what for _, what in outcomes]
    if "other" in did:
        return "FALSE"
    if len({backend for backend, what in outcomes if what == "same"}) < 2:
        return "NOT MEASURED"
    return "IT DEPENDS" if "failed" in did else "TRUE"
