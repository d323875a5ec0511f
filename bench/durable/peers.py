"""The peers that must be installed for it: LangGraph's saver here, DBOS in its own process.

    python -m bench.durable.peers FILE

runs DBOS: it reads lines of two numbers, how many workflows at a time and how many in all,
and answers each with the seconds that took.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any, Self

from .load import PAYLOAD


class CheckpointSaver:
    """LangGraph's `AsyncSqliteSaver`, given one checkpoint for each event."""

    def __init__(self, saver: Any) -> None:
        self._saver = saver

    @staticmethod
    def installed() -> bool:
        """Whether it can be opened."""
        return find_spec("langgraph") is not None and (
            find_spec("langgraph.checkpoint.sqlite") is not None
        )

    @classmethod
    @asynccontextmanager
    async def opened(cls, path: Path) -> AsyncIterator[Self]:
        """On a file of its own, in its own way: WAL and FULL."""
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
            await saver.setup()
            yield cls(saver)

    async def write(self, writers: int, checkpoints: int) -> int:
        """Writers that save one checkpoint, await it, and save the next."""
        from langgraph.checkpoint.base import empty_checkpoint

        async def write(thread: int) -> None:
            config = {"configurable": {"thread_id": f"t{thread}", "checkpoint_ns": ""}}
            for _ in range(checkpoints // writers):
                checkpoint = empty_checkpoint()
                checkpoint["channel_values"] = {"messages": PAYLOAD}
                await self._saver.aput(config, checkpoint, {}, {})

        await asyncio.gather(*(write(number) for number in range(writers)))
        return checkpoints // writers * writers


class Workflows:
    """DBOS in a process of its own, so that its OS threads are no burden on ours."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @staticmethod
    def installed() -> bool:
        """Whether it can be started."""
        return find_spec("dbos") is not None

    @classmethod
    @asynccontextmanager
    async def started(cls, path: Path) -> AsyncIterator[Self]:
        """On a SQLite file of its own."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __spec__.name, str(path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield cls(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()

    async def rate(self, at_a_time: int, count: int) -> float:
        """Run that many workflows of one step; how many a second."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{at_a_time} {count}\n".encode())
        answer = await stdout.readline()
        if not answer:
            raise RuntimeError("the process that ran DBOS has ended; run it by hand to see why")
        return count // at_a_time * at_a_time / float(answer)


def serve(path: str) -> None:
    """Run DBOS for the process that started this one."""
    from dbos import DBOS

    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{path}",
            "log_level": "ERROR",
        }
    )

    @DBOS.step()
    async def step(number: int) -> int:
        return number

    @DBOS.workflow()
    async def workflow(number: int) -> int:
        return await step(number)

    async def run(at_a_time: int, count: int) -> float:
        async def one_by_one() -> None:
            for number in range(count // at_a_time):
                await workflow(number)

        began = perf_counter()
        await asyncio.gather(*(one_by_one() for _ in range(at_a_time)))
        return perf_counter() - began

    async def answer() -> None:
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            at_a_time, count = map(int, line.split())
            print(await run(at_a_time, count), flush=True)

    DBOS.launch()
    asyncio.run(answer())
    DBOS.destroy()


if __name__ == "__main__":
    serve(sys.argv[1])
