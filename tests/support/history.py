"""What tests of a log on disk do to it."""

import asyncio
import os
import sqlite3

from support.conformance import message


def publish(log, count, topic="t", payload=b"1", **fields):
    log.append([message(topic, payload, **fields) for _ in range(count)])


def publish_noise(log, count, size):
    """Payloads that do not deflate."""
    log.append([message(payload=os.urandom(size)) for _ in range(count)])


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a thread's doing, which sets no event of the loop
            await asyncio.sleep(0.005)


def full(*_):
    raise sqlite3.OperationalError("database or disk is full")
