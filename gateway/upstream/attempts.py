"""Which url is tried next, and how long to wait before it."""

import asyncio
from collections.abc import Sequence

from gateway.config import Upstream
from gateway.errors import UpstreamError
from gateway.upstream.backoff import Backoff

SOON = 0.05
"""Seconds of a wait that somebody wants to be none: a fault that comes back at once must not keep the loop busy."""


class Attempts:
    """The tries of one link, url after url; `hurry` cuts a wait short, or the next one where none goes on."""

    def __init__(self, settings: Upstream) -> None:
        self._settings = settings
        self._backoff = Backoff(settings.backoff.min, settings.backoff.max)
        self._hurry = asyncio.Event()
        self._place = 0

    def take_over(self, settings: Upstream) -> None:
        """Other settings: their urls and waits, from the next one on."""
        before, self._settings = self._settings, settings
        if settings.backoff != before.backoff:
            self._backoff = Backoff(settings.backoff.min, settings.backoff.max)

    @property
    def url(self) -> str:
        """What to try now."""
        urls = self._settings.urls
        return urls[self._place % len(urls)]

    def next_url(self) -> None:
        """This one failed."""
        self._place = (self._place + 1) % len(self._settings.urls)

    def first_url(self) -> None:
        """Begin again with the one that is preferred."""
        self._place = 0

    def stable(self) -> None:
        """A connection stands: the next wait is a short one again."""
        self._backoff.reset()

    def hurry(self) -> None:
        """Try without waiting."""
        self._hurry.set()

    @property
    def is_hurried(self) -> bool:
        """Whether somebody wants the next try at once."""
        return self._hurry.is_set()

    def delay_after(self, failures: Sequence[UpstreamError]) -> float:
        """Seconds until the next try, after one of every url; long where none of them may get better by itself."""
        if self._hurry.is_set():
            return SOON
        return self._backoff.next_slow() if all(each.slow for each in failures) else self._backoff.next()

    async def wait(self, delay: float) -> None:
        """Wait so long, unless somebody is in a hurry."""
        self._hurry.clear()
        try:
            async with asyncio.timeout(delay):
                await self._hurry.wait()
        except TimeoutError:
            pass  # nobody was
        self._hurry.clear()
