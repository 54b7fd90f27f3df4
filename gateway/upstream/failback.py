"""Whether a broker would take us: a connect of its own beside the link's, under another client id."""

import asyncio
import time
from collections.abc import Callable

from msgspec.structs import replace

from gateway.config import Upstream
from gateway.hub.message import Message
from gateway.upstream.address import Address
from gateway.upstream.connector import Connector
from gateway.upstream.counters import Counters
from gateway.upstream.names import TopicNames
from gateway.upstream.session import Session


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
