"""One thread of torch for a while."""

from __future__ import annotations

import pytest

from suite.claims.meaning.one_thread import one_thread


def test_torch_has_one_thread_for_a_while_and_then_its_own_again() -> None:
    import torch

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(KeyError), one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
