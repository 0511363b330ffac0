"""Which rank this is and what it is asked for; nonsense is one line."""

import pytest

from suite.command import BadRequest
from suite.ranks.options import here, parse


@pytest.mark.parametrize(
    ("variables", "rank", "served"),
    [
        ({}, (0, 1, 0, "127.0.0.1"), False),
        (
            {
                "RANK": "3",
                "WORLD_SIZE": "8",
                "LOCAL_RANK": "1",
                "MASTER_ADDR": "a",
                "MASTER_PORT": "1234",
                "TORCHELASTIC_USE_AGENT_STORE": "True",
            },
            (3, 8, 1, "a"),
            True,
        ),
        (
            {"SLURM_PROCID": "2", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0", "MASTER_ADDR": "b"},
            (2, 4, 0, "b"),
            False,
        ),
    ],
)
def test_the_rank_is_as_torchrun_or_slurm_says(
    variables: dict[str, str], rank: tuple[int, int, int, str], served: bool
) -> None:
    found = here(variables)
    assert (found.rank, found.ranks, found.local, found.host) == rank
    assert found.served is served


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"RANK": "0"}, "RANK, WORLD_SIZE, LOCAL_RANK: not all are numbers"),
        ({"RANK": "a", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, "not all are numbers"),
        ({"RANK": "2", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "a"}, "RANK 2 of WORLD_SIZE 2"),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, "MASTER_ADDR: not set"),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_PORT": "0x1"}, "not all are numbers"),
    ],
)
def test_variables_that_say_nothing_are_refused(variables: dict[str, str], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        here(variables)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--vocab 10", "--vocab: and --dim are given together"),
        ("--model gpt2 --vocab 10 --dim 4", "--model: given together with --vocab"),
        ("--way nope", "nope: no such way; there are all_to_all,"),
        ("--way no/such.py", "no/such.py: no such file"),
        ("--way column_all_gather --sharding row", "--sharding: no way of it; the ways given are for column"),
    ],
)
def test_a_wrong_request_is_one_line(words: str, says: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(words.split())
    assert str(caught.value).startswith(says) and "\n" not in str(caught.value)


def test_all_ways_of_both_shardings_are_the_default() -> None:
    request = parse([])
    assert request.shardings == ("row", "column")
    assert request.ways_of("column") == ("column_all_gather", "dtensor_column", "torchrec_column")
    assert {case.table_text for case in request.cases} == {"128256x4096 bfloat16"}
