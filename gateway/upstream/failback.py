"""Back to the first url: a connect of its own beside the link's, under another client id, tells whether it answers."""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from msgspec.structs import replace

from gateway.config import Upstream
from gateway.errors import UpstreamError
from gateway.hub.message import Message
from gateway.upstream.address import Address, parse
from gateway.upstream.connector import Connector
from gateway.upstream.counters import Counters
from gateway.upstream.names import TopicNames
from gateway.upstream.session import Session
from gateway.upstream.versions import Versions

logger = logging.getLogger("gateway.upstream")


class _Nowhere:
    """Publisher of a connection that subscribes to nothing."""

    busy = False

    def publish(self, messages: list[Message], durable: Callable[[], None] | None = None) -> None:
        """Nothing is subscribed, so nothing comes."""


async def try_broker(
    address: Address, settings: Upstream, *, version_5: bool, connector: Connector, loop: asyncio.AbstractEventLoop
) -> None:
    """Return once the broker at `address` has accepted a connection like ours. Raises UpstreamError."""
    session = Session(
        loop,
        publisher=_Nowhere(),
        connector=connector,
        counters=Counters(),
        clock=time.time,
        payload_limit=0,
        accepted=lambda session_present: None,
        published=lambda mid, failure: None,
        probe=lambda payload: None,
    )
    try:
        await session.connect(
            address,
            replace(settings, session_expiry=0.0),
            version_5=version_5,
            client_id=f"{settings.client_id}-probe",
            names=TopicNames(settings.name),
        )
    finally:
        await session.close(1.0)


async def watch_first(
    settings: Upstream, versions: Versions, *, connector: Connector, loop: asyncio.AbstractEventLoop
) -> str:
    """While the link is at another url: try the first one now and then; return it once it answers."""
    first = parse(settings.urls[0])

    async def connect(version_5: bool) -> None:
        await try_broker(first, settings, version_5=version_5, connector=connector, loop=loop)

    interval = max(settings.backoff.stable, settings.backoff.min)
    while True:
        await asyncio.sleep(interval * random.uniform(0.75, 1.25))
        try:
            await versions.speak(first.url, connect)
        except UpstreamError as error:
            logger.debug("upstream %s: %s is not back yet: %s", settings.name, first.url, error)
        else:
            return first.url
