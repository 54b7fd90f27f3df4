"""A log on disk against a model: whatever was handed on under a name is found under it, or named as gone; for ever."""

import asyncio
import os
import random
import sqlite3

import pytest
from support.conformance import everything, message


@pytest.mark.parametrize("seed", range(12))
async def test_through_crashes_full_disks_and_torn_files_every_offset_is_found_or_named(
    make_log, stored, crash, tmp_path, machine_id, seed
):
    rng = random.Random(seed)
    handed_on: dict[tuple[str, int], bytes] = {}
    begun: dict[str, int] = {}
    log = make_log(durable=rng.random() < 0.5, limit=rng.choice((20_000, 1 << 24)), commit=0.01)
    number = 0

    async def compare():
        await stored(log)
        first = begun.setdefault(log.epoch, 0)
        found, gaps = await everything(log, first)
        named: set[int] = set()
        for gap in gaps:
            span = set(range(gap.gone[0], gap.gone[1] + 1))
            assert not span & named
            named |= span
            if gap.empty:
                assert not any((log.epoch, offset) in handed_on for offset in span)
        offsets = [m.offset for m in found]
        assert offsets == sorted(set(offsets))
        assert set(offsets) | named == set(range(first + 1, log.newest + 1))
        assert not set(offsets) & named
        for m in found:
            if (log.epoch, m.offset) in handed_on:
                assert handed_on[log.epoch, m.offset] == m.payload

    def take_down(taken):
        for m in taken:
            name = log.epoch, m.offset
            assert name not in handed_on
            handed_on[name] = m.payload
        taken.clear()

    for _ in range(14):
        step = rng.choice(("publish", "publish", "publish", "compare", "crash", "stop", "tear", "clone", "full"))
        if step == "publish":
            for _ in range(rng.randrange(1, 4)):
                batch = []
                for _ in range(rng.randrange(1, 300)):
                    number += 1
                    batch.append(message(f"t/{number % 3}", b"%d" % number))
                log.append(batch)
        elif step == "compare":
            await compare()
        elif step == "full":
            real = log.store.write

            def full(*_):
                raise sqlite3.OperationalError("database or disk is full")

            log.store.write = full
            for _ in range(2):
                log.append([message(payload=b"full")])
                async with asyncio.timeout(5):
                    while not log.degraded:  # noqa: ASYNC110 - a thread's doing
                        await asyncio.sleep(0.002)
            log.store.write = real
        else:
            if step == "stop":
                log.close()
            else:
                crash(log)
            take_down(log.taken)
            wal = tmp_path / "state" / "history.db-wal"
            if step == "tear" and wal.exists() and wal.stat().st_size:
                os.truncate(wal, rng.randrange(wal.stat().st_size))
            if step == "clone":
                machine_id.write_text(f"machine {number} {rng.random()}")
            before = log.epoch
            log = make_log(durable=rng.random() < 0.5, limit=rng.choice((20_000, 1 << 24)), commit=0.01)
            assert (log.epoch == before) == (step != "clone")
            begun.setdefault(log.epoch, log.newest)
        take_down(log.taken)
    await compare()
    take_down(log.taken)
