import asyncio

import pytest
from msgspec.structs import replace
from support.links import settings

from gateway.errors import UpstreamError
from gateway.upstream.attempts import SOON, Attempts


def test_urls_are_tried_in_turn_and_the_first_one_again_where_it_is_preferred() -> None:
    attempts = Attempts(settings("mqtt://a", "mqtt://b"))
    seen = []
    for _ in range(3):
        seen.append(attempts.url)
        attempts.next_url()
    attempts.first_url()

    assert [*seen, attempts.url] == ["mqtt://a", "mqtt://b", "mqtt://a", "mqtt://a"]


def test_fewer_urls_by_a_reload_are_tried_in_turn_as_well() -> None:
    attempts = Attempts(settings("mqtt://a", "mqtt://b"))
    attempts.next_url()

    attempts.take_over(settings("mqtt://c"))

    assert attempts.url == "mqtt://c"


def test_the_wait_is_long_only_where_none_of_the_urls_may_get_better_by_itself() -> None:
    before = settings("mqtt://a", "mqtt://b")
    attempts = Attempts(replace(before, backoff=replace(before.backoff, min=1.0, max=2.0)))
    quick, slow = UpstreamError("refused"), UpstreamError("not authorized", slow=True)

    assert attempts.delay_after([slow, quick]) <= 2.0
    assert attempts.delay_after([slow, slow]) >= 2.0


async def test_whoever_is_in_a_hurry_ends_the_wait_and_makes_the_next_one_short() -> None:
    attempts = Attempts(settings("mqtt://a"))
    waiting = asyncio.create_task(attempts.wait(60.0))
    await asyncio.sleep(0)
    attempts.hurry()
    await asyncio.wait_for(waiting, 1.0)
    assert not attempts.is_hurried

    attempts.hurry()

    assert attempts.delay_after([UpstreamError("dropped")]) == pytest.approx(SOON)
