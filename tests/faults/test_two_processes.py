"""One file, one process: who comes second is told who has it, until that one is gone."""

import asyncio

import pytest

from callboard import Runtime
from callboard.domain import StoreOwned

from .agents import AGENTS, AGENTS_THAT_END
from .lives import child, url_of


async def work(url):
    async with Runtime(AGENTS_THAT_END, store=url) as runtime:
        return await runtime.create_and_wait("t", "writer", input={"count": 1})


def test_a_second_process_is_refused_by_name_and_gets_in_at_once_when_the_first_is_killed(tmp_path):
    url = url_of(tmp_path / "runs.db")
    with child("child", url, "full", 0) as first:
        first.hear(50)
        with pytest.raises(StoreOwned, match=rf"\b{first.pid}\b"):
            asyncio.run(work(url))
        first.hear(50)
        first.kill()

        assert asyncio.run(work(url)).status == "success"


def test_a_second_runtime_of_the_same_process_is_refused_and_disturbs_nothing(tmp_path):
    url = url_of(tmp_path / "runs.db")

    async def story():
        async with Runtime(AGENTS, store=url) as first:
            with pytest.raises(StoreOwned, match=r"runs\.db"):
                await work(url)
            return await first.create_and_wait("t", "writer", input={"count": 1})

    assert asyncio.run(story()).status == "success"
    assert asyncio.run(work(url)).status == "success"


def test_a_file_is_free_again_when_its_runtime_has_closed(tmp_path):
    url = url_of(tmp_path / "runs.db")
    first = asyncio.run(work(url))

    with child("child", url, "full", 0) as second:
        second.hear(2)
        second.kill()

    assert second.said[1] == ["opened"]
    assert first.status == "success"
