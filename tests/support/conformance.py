"""What every log has to pass: a subclass says how to make one."""

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.hub.log import BLOCK, Log, Page, Selection
from gateway.hub.message import Message

ALL = Selection(("#",))


def message(topic: str = "t", payload: bytes = b"1", timestamp: float | None = 1.0, **fields: Any) -> Message:
    return Message(topic, payload, timestamp, "u", **fields)


async def page(log: Log, after: int, until: int, wanted: Selection = ALL) -> Page:
    answer: asyncio.Future[Page] = asyncio.get_running_loop().create_future()
    log.read(after, until, wanted, answer.set_result)
    return await asyncio.wait_for(answer, 10)


async def everything(log: Log, after: int = 0, wanted: Selection = ALL) -> tuple[list[Message], list[Page]]:
    """All messages after an offset, and the pages that named something as gone."""
    found: list[Message] = []
    gaps = []
    until = log.newest
    while after < until:
        answer = await page(log, after, until, wanted)
        assert answer.reached > after
        assert len(answer.messages) <= BLOCK
        if answer.gone is not None:
            gaps.append(answer)
        found += answer.messages
        after = answer.reached
    return found, gaps


async def asked(ask: Callable[[Callable[[int], None]], None]) -> int:
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    ask(answer.set_result)
    return await asyncio.wait_for(answer, 10)


class LogConformance:
    """`make(taken)` gives a fresh log that hands on to `taken`; `settle` waits until all is handed on and stored."""

    def make(self, taken: list[Message]) -> Log:
        raise NotImplementedError  # each log's own test says how it is made

    async def settle(self, log: Log) -> None:
        """Nothing to wait for, unless the log is kept elsewhere."""

    async def test_hands_on_in_offset_order_and_then_calls_durable(self) -> None:
        taken: list[Message] = []
        log = self.make(taken)
        told: list[tuple[int, int]] = []
        first = log.newest + 1
        for number in range(20):
            batch = [message(f"t/{n}") for n in range(3)]
            log.append(batch, lambda number=number: told.append((number, len(taken))))
        await self.settle(log)
        assert [m.offset for m in taken] == list(range(first, first + 60))
        assert log.newest == first + 59
        assert [number for number, _ in told] == list(range(20))
        assert all(handed_on >= 3 * (number + 1) for number, handed_on in told)

    async def test_reads_back_what_was_appended(self) -> None:
        log = self.make([])
        sent = [
            message("a", b"\x00\xff", None, retained=True),
            message("b/ü", b"", 12.5),
            message("c", b"", 13.5, size=300_000),
            message("d", b'{"x":1}', 14.5, mid=17),
        ]
        log.append(list(sent))
        await self.settle(log)
        found, gaps = await everything(log, sent[0].offset - 1)
        assert found == sent
        assert gaps == []

    async def test_reads_pages_in_order_without_a_hole(self) -> None:
        log = self.make([])
        start = log.newest
        for number in range(40):
            log.append([message(payload=str(number).encode()) for _ in range(50)])
        await self.settle(log)
        for after in (start, start + 1, start + 255, start + 256, start + 1999):
            found, _ = await everything(log, after)
            assert [m.offset for m in found] == list(range(after + 1, start + 2001))

    async def test_a_page_ends_where_it_was_told_to(self) -> None:
        log = self.make([])
        start = log.newest
        log.append([message() for _ in range(100)])
        await self.settle(log)
        answer = await page(log, start + 10, start + 15)
        assert [m.offset for m in answer.messages] == list(range(start + 11, start + 16))
        answer = await page(log, log.newest, log.newest + 50)
        assert (answer.messages, answer.reached) == ([], log.newest)

    async def test_what_is_near_is_answered_within_the_call(self) -> None:
        log = self.make([])
        for _ in range(10):
            log.append([message() for _ in range(100)])
        await self.settle(log)
        answers: list[Page] = []
        log.read(max(log.near, log.newest - 5), log.newest, ALL, answers.append)
        assert len(answers) == 1
        assert log.near <= log.newest - 5

    async def test_finds_where_the_last_messages_begin(self) -> None:
        log = self.make([])
        start = log.newest
        for number in range(600):
            log.append([message(f"t/{number % 3}")])
        await self.settle(log)
        mine = Selection(("t/1",))
        after = await asked(lambda take: log.offset_of_last(5, mine, take))
        found, _ = await everything(log, after, mine)
        assert len([m for m in found if m.topic == "t/1"]) == 5
        assert await asked(lambda take: log.offset_of_last(100_000, ALL, take)) <= start
        after = await asked(lambda take: log.offset_of_last(450, ALL, take))
        assert after == log.newest - 450

    async def test_a_selective_reader_misses_nothing_of_its_own(self) -> None:
        log = self.make([])
        start = log.newest
        for number in range(900):
            log.append([message("rare" if number % 100 == 7 else f"often/{number % 5}")])
        await self.settle(log)
        found, _ = await everything(log, start, Selection(("rare",)))
        assert [m.offset - start for m in found if m.topic == "rare"] == list(range(8, 901, 100))
