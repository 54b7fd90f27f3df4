"""Numbers of the past by plain HTTP."""

import asyncio
import json
import time

import pytest
from support.edge import Edge

from gateway.edge.answer import answer_later
from gateway.edge.history import Archive
from gateway.edge.http import Reply
from gateway.edge.roles import Role
from gateway.edge.states import State
from gateway.edge.visits import Later
from gateway.hub.series import Series

ROLE = Role("viewer", subscribe=("plant/#",), deny=("plant/secret/#",))
ROWS = [[1.5, 20.0, 22.5, 21.0], [2.0, -1e300, 3.0, 3.0]]


class Reader:
    """Answers in a later turn of the loop, as a thread would; `asked` are the questions."""

    stored = 600.0

    def __init__(self):
        self.asked = []
        self.full = False

    def query(self, query, done):
        self.asked.append(query)
        if not self.full:
            asyncio.get_running_loop().call_later(0.05, done, Series(ROWS, False))
        return not self.full


async def got(edge, query, method="GET"):
    answer = await edge.raw(f"{method} /api/history?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode().lower(), body


def archived(**options):
    edge = Edge(roles=[ROLE], **options)
    reader = Reader()
    edge.room.archive = Archive(reader)
    return edge, reader


async def test_the_address_asks_what_a_history_command_asks_and_json_answers():
    """The page that lists /api/history, and client.js where WebSocket is blocked, got 404: nobody served it."""
    edge, reader = archived()
    async with edge:
        status, head, body = await got(edge, "topic=plant/a&path=t.value&from=0&to=10.5&points=7")
        assert (status, json.loads(body)) == (200, {"series": ROWS, "complete": False})
        assert "content-type: application/json" in head
        [query] = reader.asked
        assert (query.source.topics, query.since, query.until, query.points) == (("plant/a",), 0.0, 10.5, 7)
        status, head, body = await got(edge, "topic=plant/a&from=0&to=1", method="HEAD")
        assert (status, body) == (200, b"")


async def test_csv_for_spreadsheets():
    edge, _ = archived()
    async with edge:
        status, head, body = await got(edge, "topic=plant/a&from=0&to=10&format=csv")
        assert (status, body) == (200, b"time,min,max,last\r\n1.5,20.0,22.5,21.0\r\n2.0,-1e+300,3.0,3.0\r\n")
        assert "content-type: text/csv" in head


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("topic=plant/a", 400, "from and to are unix seconds"),
        ("topic=plant/a&from=x&to=10", 400, "from and to are unix seconds"),
        ("topic=plant/a&from=nan&to=10", 400, "from is before to"),
        ("topic=plant/a&from=20&to=10", 400, "from is before to"),
        ("topic=plant/a&from=0&to=10&points=many", 400, "points is a whole number"),
        ("topic=plant/a&from=0&to=10&points=0", 400, "points is a number from 1"),
        ("topic=plant/a&from=0&to=10&format=xml", 400, "format is json or csv"),
        ("topic=plant/%23&from=0&to=10", 400, "wildcard"),
        ("topic=plant/a&path=a..b%5B&from=0&to=10", 400, "not a jmespath"),
        ("from=0&to=10", 400, "history is of a topic, or of a device and its quantity"),
        ("topic=plant/secret/x&from=0&to=10", 403, "may not see plant/secret/x"),
        ("topic=elsewhere&from=0&to=10", 403, "may not see elsewhere"),
        ("device=nobody&quantity=t&from=0&to=10", 404, "no reading nobody t was heard"),
    ],
)
async def test_what_makes_no_sense_or_is_not_allowed_is_refused_with_its_sentence(query, status, reason):
    edge, reader = archived()
    async with edge:
        told, head, _ = await got(edge, query)
        assert told == status
        assert reason in head
        assert reader.asked == []


async def test_too_many_questions_at_a_time_may_come_again():
    edge, reader = archived()
    reader.full = True
    async with edge:
        status, head, _ = await got(edge, "topic=plant/a&from=0&to=10")
        assert (status, "retry-after: 1" in head) == (429, True)


async def test_without_a_credential_or_a_memory_there_is_none():
    async with Edge(anonymous="") as edge:
        assert (await got(edge, "topic=a&from=0&to=10"))[0] == 401
    async with Edge() as edge:
        status, head, _ = await got(edge, "topic=a&from=0&to=10")
        assert (status, "keeps no history" in head) == (404, True)


async def test_who_goes_before_the_answer_gets_none():
    edge, _ = archived()
    async with edge:
        _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(b"GET /api/history?topic=plant/a&from=0&to=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await writer.drain()
        until = time.monotonic() + 5
        while not any(c.state is State.ANSWERING for c in edge.server.connections.values()):
            assert time.monotonic() < until
            await asyncio.sleep(0)
        writer.transport.abort()
        status, _, _ = await got(edge, "topic=plant/a&from=0&to=1")
        assert (status, edge.server.counts["fault"]) == (200, 0)


def test_the_headers_of_all_go_with_it():
    class Asker:
        def __init__(self):
            self.state, self.replies = State.REQUESTED, []

        def reply(self, reply, *, head=False):
            self.replies.append((reply, head))

    takers = []
    asker = Asker()
    answer_later(Later(takers.append, (("B", "2"),)), asker, head=True)
    assert asker.state is State.ANSWERING, "what the client sends meanwhile is no second request"
    takers[0](Reply(200, b"there", headers=(("A", "1"),)))
    assert asker.replies == [(Reply(200, b"there", headers=(("A", "1"), ("B", "2"))), True)]
