"""Rules of the meaning claims: numbers in, verdict out. Each has its thresholds in words beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from suite.claims.finding import Verdict
from suite.stats import Z95, Estimate

MOSTLY = 0.75
CHANCE = 0.5
CONTROL_MOST = 0.25
"""If a control may reach this share, the test shows nothing."""
LEARNED = 0.9


def share(hits: int, of: int) -> Estimate:
    """A share with its 95 % interval; nan with ``of`` 0 (E. B. Wilson, JASA 22, 1927)."""
    if not of:
        return Estimate(math.nan, 0.0, 1.0)
    p, spread = hits / of, Z95 * Z95 / of
    middle = (p + spread / 2) / (1 + spread)
    half = Z95 * math.sqrt(p * (1 - p) / of + spread / of / 4) / (1 + spread)
    return Estimate(p, max(0.0, middle - half), min(1.0, middle + half))


def percent(part: Estimate) -> str:
    """A share and its interval in words: 57 % (47–66 %)."""
    return f"{whole(part.value)} ({100 * part.low:.0f}–{whole(part.high)})"


def whole(part: float) -> str:
    """A share in words, in whole per cent: 57 %."""
    return f"{100 * part:.0f} %"


NEAR_RULE = (
    f"TRUE if for at least {whole(MOSTLY)} of the words (lower end of the 95 % interval) the nearest other "
    "word is of the same group, and in as many triples the synonym is nearer than the opposite; "
    f"FALSE if the first share is at most {whole(CHANCE)} (upper end); IT DEPENDS otherwise. The test counts "
    f"only if a table of random numbers stays under {whole(CONTROL_MOST)} (upper end)."
)


def near(same_group: Estimate, like_before_opposite: Estimate, control: Estimate) -> Verdict:
    """The verdict by ``NEAR_RULE``."""
    if control.high >= CONTROL_MOST:
        return "NOT MEASURED"
    if same_group.low <= CHANCE:
        return "FALSE" if same_group.high <= CHANCE else "IT DEPENDS"
    return "TRUE" if min(same_group.low, like_before_opposite.low) >= MOSTLY else "IT DEPENDS"


ROYAL_RULE = (
    "TRUE if queen comes first with no word excluded, and so do the answers of most analogies (lower end of "
    f"the 95 % interval over {whole(CHANCE)}); FALSE if queen is not first even with the three words "
    f"excluded, and at most {whole(CHANCE)} of the analogies are right (upper end); IT DEPENDS otherwise. "
    f"The test counts only if a table of random numbers stays under {whole(CONTROL_MOST)} (upper end)."
)


def royal(place_in: int, place_out: int, left_in: Estimate, left_out: Estimate, control: Estimate) -> Verdict:
    """The verdict by ``ROYAL_RULE``.

    Args:
        place_in, place_out: rank of queen, 1 the nearest, with king, man and woman among the answers and not.
        left_in, left_out: share of the analogies whose answer comes first, likewise.
        control: the same in a table of random numbers, inputs excluded.
    """
    if control.high >= CONTROL_MOST:
        return "NOT MEASURED"
    if place_in == 1 and left_in.low > CHANCE:
        return "TRUE"
    return "FALSE" if place_out > 1 and left_out.high <= CHANCE else "IT DEPENDS"


LEARNED_RULE = (
    "The figure is how often a pair of words from similar contexts has a larger cosine than other pairs of "
    f"the same words. TRUE if it is at most {whole(MOSTLY)} at the start (upper end of the 95 % interval), "
    f"at least {whole(LEARNED)} at the end (lower end), and at most {whole(MOSTLY)} after the same training "
    "on the same words in shuffled order; FALSE if the interval of the end is not above that of the start; "
    "IT DEPENDS otherwise."
)


def learned(start: Estimate, end: Estimate, shuffled: Estimate) -> Verdict:
    """The verdict by ``LEARNED_RULE``."""
    if end.low <= start.high:
        return "FALSE"
    noise = max(start.high, shuffled.high) <= MOSTLY
    return "TRUE" if noise and end.low >= LEARNED else "IT DEPENDS"


CONTEXTUAL_RULE = (
    "TRUE if a word's row has the same bits in every sentence and, for every word after the last layer, the "
    "mean cosine is larger within a sense than between senses (lower end of the gap's 95 % interval over 0) "
    f"and most nearest uses are of the same sense (lower end over {whole(CHANCE)}); FALSE if the rows "
    "differ, or the gap is over 0 for no word; IT DEPENDS otherwise. The test counts only if sentences split "
    "regardless of sense show no such gap."
)


def contextual(
    static_same: bool, words: Sequence[tuple[Estimate, Estimate]], mixed: Sequence[Estimate]
) -> Verdict:
    """The verdict by ``CONTEXTUAL_RULE``.

    Args:
        static_same: whether all occurrences of a word have the same row.
        words: for each word, after the last layer, the mean cosine within a sense less that between senses,
            and the share of uses whose nearest other use is of the same sense.
        mixed: for each word, the gap of a split with as many sentences of each sense on both sides.
    """
    if any(gap.low > 0 for gap in mixed):
        return "NOT MEASURED"
    apart = [gap.low > 0 for gap, _ in words]
    if not static_same or not any(apart):
        return "FALSE"
    return "TRUE" if all(apart) and all(nearest.low > CHANCE for _, nearest in words) else "IT DEPENDS"


ROWS_RULE = (
    "TRUE if all backends that return rows return the table's own bits in every layout; FALSE if one returns "
    "other bits; IT DEPENDS if one fails in a layout it did not refuse; NOT MEASURED with fewer than two "
    "backends."
)


def same_rows(outcomes: Sequence[tuple[str, str]]) -> Verdict:
    """The verdict by ``ROWS_RULE``, from (backend, what it did) in each layout: see ``real_rows.What``."""
    did = [what for _, what in outcomes]
    if "other" in did:
        return "FALSE"
    if len({backend for backend, what in outcomes if what == "same"}) < 2:
        return "NOT MEASURED"
    return "IT DEPENDS" if "failed" in did else "TRUE"
