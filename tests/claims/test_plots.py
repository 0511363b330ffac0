"""Plots of the claims: every point is drawn, in the page's colours, and nothing that its policy forbids."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from suite.claims import plots
from suite.claims.finding import Mark, Plot, Point, Series

EVIL = "<script>1</script> $x^$ \x1b[31m"
PLOT = Plot(
    "Speed",
    "batch",
    "GB/s",
    (
        Series("low", tuple(Point(4.0**k, 2.0**k, 1.9**k, 2.1**k) for k in range(1, 9))),
        Series("none", ()),
        Series("high", tuple(Point(4.0**k, 2.0**k + 0.01) for k in range(1, 9))),
    ),
    (Mark("half", "y", 20.0), Mark("from here", "x", 300.0)),
    log_x=True,
    log_y=True,
)


def words(markup: str) -> list[str]:
    """The texts of a picture, in order."""
    return [text.text or "" for text in ElementTree.fromstring(markup).iter("text")]


@pytest.mark.parametrize("size", [plots.WIDE, plots.NARROW])
def test_a_picture_has_its_size_its_title_and_its_words_as_text(size: tuple[int, int]) -> None:
    markup = plots.svg(PLOT, size, "a")
    root = ElementTree.fromstring(markup)
    assert (root.get("role"), root.get("width"), root.get("height")) == ("img", *map(str, size))
    assert [child.tag for child in root][:2] == ["title", "desc"]
    assert root[0].text == "Speed"
    assert {"batch", "GB/s", "half", "from here", "1,000"} <= set(words(markup))
    assert words(markup)[-2:] == ["high", "low"]  # as the lines end; a line without points has no name


def test_every_point_has_its_mark_and_every_interval_its_whisker() -> None:
    def uses(plot: Plot) -> int:
        return plots.svg(plot, plots.WIDE, "a").count("<use")

    one = replace(PLOT, series=(Series("a", (Point(1, 5), Point(2, 6), Point(3, 7))),))
    bounded = replace(PLOT, series=(Series("a", (Point(1, 5), Point(2, 6), Point(3, 7, 6, 8))),))
    two = replace(PLOT, series=(Series("a", (Point(1, 5), Point(3, 7))),))
    assert uses(one) - uses(two) == 1
    assert uses(bounded) - uses(one) == 2  # the caps of its whisker


def test_nothing_in_a_picture_is_against_the_page_s_policy_or_of_one_colour_scheme() -> None:
    markup = plots.svg(replace(PLOT, title=EVIL, x_label=EVIL), plots.WIDE, "a")
    assert not re.search(r"<style|<script|style=|font|xmlns|#[0-9a-f]{6}\b", markup)
    assert "\x1b" not in markup
    assert "<script>1</script> $x^$" in " ".join(words(markup))
    assert {"var(--c0)", "var(--c2)", "var(--line)", "var(--soft)"} <= set(re.findall(r"var\(.*?\)", markup))


def test_pictures_of_one_page_share_no_ids_and_refer_to_their_own() -> None:
    first, second = (plots.svg(PLOT, plots.WIDE, name) for name in ("a", "b"))
    ids = [re.findall(r' id="(.*?)"', markup) for markup in (first, second)]
    assert ids[0] and not set(ids[0]) & set(ids[1])
    for markup, own in zip((first, second), ids, strict=True):
        used = set(re.findall(r'href="#(.*?)"|url\(#(.*?)\)', markup))
        assert {name for pair in used for name in pair if name} <= set(own)


@pytest.mark.parametrize(
    ("ys", "ticks"), [((1.5, 9), {"2", "5"}), ((0.8, 70000), {"1", "10", "100", "1,000", "10,000"})]
)
def test_ticks_are_round(ys: tuple[float, float], ticks: set[str]) -> None:
    plot = Plot("t", "x", "y", (Series("a", tuple(Point(k, y) for k, y in enumerate(ys))),), log_y=True)
    assert ticks <= set(words(plots.svg(plot, plots.WIDE, "a")))
