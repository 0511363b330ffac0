"""Every meaning claim has an answer, also without its packages or data."""

from __future__ import annotations

from typing import Any

import pytest

from suite.claims.meaning import (
    contextual,
    corpus,
    encoder,
    geometry,
    glove,
    learned,
    real_rows,
)
from tests.support.meaning import sentences

MODULES = {
    "geometry": (geometry, ["near-means-similar", "king-queen", "same-rows"]),
    "learned": (learned, [learned.NAME]),
    "contextual": (contextual, [contextual.NAME]),
}


def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_rows, "missing_packages", lambda distributions: distributions)


@pytest.mark.parametrize("which", MODULES)
def test_what_is_not_installed_is_said(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    no_package(monkeypatch)
    module, names = MODULES[which]
    found = module.findings(1.0, 0)  # type: ignore[attr-defined]
    assert [one.name for one in found] == names
    for one in found:
        assert one.verdict == "NOT MEASURED" and one.group == "meaning"
        assert one.why.startswith("Needs ") and "pip install" in one.why and "\n" not in one.why


def broken(*_args: Any) -> Any:
    raise ValueError("nothing\nas it was")


@pytest.mark.parametrize(
    ("module", "source"),
    [(geometry, glove), (learned, corpus), (contextual, encoder)],
    ids=lambda module: module.__name__,
)
def test_what_cant_be_read_is_said(module: Any, source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_rows, "missing_packages", lambda distributions: ())
    monkeypatch.setattr(source, "read", broken)
    for one in module.findings(1.0, 0):
        assert one.verdict == "NOT MEASURED" and "nothing as it was; " in one.why


def test_too_little_text_is_said_and_a_slip_of_ours_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "read", lambda: sentences(3, 4000, 0))
    (found,) = learned.findings(0.0, 0)
    assert found.verdict == "NOT MEASURED" and " pairs of words in similar contexts; install" in found.why
    monkeypatch.setattr(corpus, "read", lambda: sentences(30, 8000, 0))
    monkeypatch.setattr(learned, "finding_on", broken)
    with pytest.raises(ValueError, match="as it was"):
        learned.findings(0.0, 0)
