"""A link under test."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.authority import Authority
from support.links import Collector, MakeLink, settings

from gateway.upstream.link import Link


@pytest.fixture
def collector() -> Collector:
    return Collector()


@pytest.fixture
async def make_link(collector: Collector) -> AsyncIterator[MakeLink]:
    """A function that starts a link on `urls` with changed settings; all are stopped at the end."""
    links: list[Link] = []

    def make(*urls: str, link_options: dict[str, object] | None = None, **changes: object) -> Link:
        link = Link(
            settings(*urls, **changes),  # type: ignore[arg-type]
            publisher=collector,
            listener=collector,
            loop=asyncio.get_running_loop(),
            **(link_options or {}),  # type: ignore[arg-type]
        )
        link.start()
        links.append(link)
        return link

    yield make
    for link in links:
        await link.stop()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the certificates of these tests."""
    return Authority(tmp_path_factory.mktemp("authority"))
