"""The text that a table is learned from."""

from __future__ import annotations

from pathlib import Path

from suite.claims.meaning import (
    corpus,
)


def test_the_text_is_the_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, words in {"a.py": "b b(a)", "b.py": "c a", "c/d.py": "a z", "test/e.py": "t t t t"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(words, encoding="utf-8")
    text = corpus.read(tmp_path, vocab=4)
    assert text.names == ("a", "b", "(", ")"), "by count, then by name; z and c are too rare"
    assert [text.names[i] for i in text.learnt] == ["b", "b", "(", "a", ")", "a"]
    assert [text.names[i] for i in text.held_out] == ["a"]
    assert corpus.read(tmp_path, vocab=9).names[4:] == ("c", "z")
