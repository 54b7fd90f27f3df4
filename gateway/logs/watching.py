"""How a gateway stands to the stream: how far behind it is, and whether it is still the same stream."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from itertools import islice

from gateway.config import JetStream
from gateway.logs.ending import FAULT, tell_fault
from gateway.logs.intake import Intake
from gateway.logs.natsclient import NatsClient, Refusal, Unanswered
from gateway.logs.stream import StreamState, look_at

logger = logging.getLogger("gateway.history")

LOOK = 0.5  # seconds between two looks at the stream
SHORT = 5.0  # seconds for which a stream may look shorter than it was
LOOKS = 512  # that are remembered at most


class Watch:
    """Looks at the stream now and then.

    `clock` is monotonic seconds. `looked(state)` gets every look; `over` is told where the stream is another one by
    now, and nothing is looked at any more.
    """

    def __init__(
        self,
        client: NatsClient,
        settings: JetStream,
        intake: Intake,
        *,
        clock: Callable[[], float],
        looked: Callable[[StreamState], None],
        over: Callable[[], None],
    ) -> None:
        self.epoch = ""
        self._client = client
        self._settings = settings
        self._intake = intake
        self._clock = clock
        self._tell = looked
        self._over = over
        self._looks: deque[tuple[float, int]] = deque()
        self._last = 0
        self._step = 0.0  # seconds between two of them at least
        self._fault = "it was not asked yet"
        self._target: int | None = None
        self._short: tuple[float, int] | None = None  # since when the stream is shorter than what was handed on

    @property
    def lag(self) -> tuple[int, float]:
        """How many records the stream holds that were not handed on yet, and for how many seconds there were any."""
        looks = self._behind()
        return (self._last - self._intake.taken, self._clock() - looks[0][0]) if looks else (0, 0.0)

    @property
    def fault(self) -> str:
        """Why this gateway does not show what the stream holds, "" while it does."""
        if self._fault:
            return self._fault
        behind, since = self.lag
        return f"{behind} messages behind for {since:.1f} s" if since > self._settings.max_lag else ""

    def disconnected(self) -> None:
        """The connection is lost."""
        self._failed("the connection to NATS is lost")

    async def run(self) -> None:
        """Look for ever, or until the stream is another one."""
        while True:
            try:
                now, taken = self._clock(), self._intake.taken
                if self._is_over(await look_at(self._client, self._settings.stream), now, taken):
                    return
            except (Unanswered, Refusal) as error:
                if not self._fault:
                    logger.warning("history: the stream %s: %s", self._settings.stream, error)
                self._failed(str(error))
            except Exception as failure:
                tell_fault(failure)
                self._failed("a fault in the gateway: see the log")
                await asyncio.sleep(FAULT)
            await asyncio.sleep(LOOK)

    def _failed(self, reason: str) -> None:
        self._fault = reason
        self._target = None

    def _is_over(self, state: StreamState, now: float, taken: int) -> bool:
        """Take in a look; `taken` is how far we were when the question was asked, at `now`."""
        self._tell(state)
        # A leader may know of less than what another server has handed on already: for a moment, not for long.
        self._short = (self._short or (now, taken)) if state.last < taken else None
        if self._short is not None and state.last >= self._short[1]:
            self._short = now, taken
        if state.epoch != self.epoch or (self._short is not None and now - self._short[0] > SHORT):
            # Offsets that viewers have would name other messages.
            self._fault = "the stream was made anew, or has lost messages"
            logger.critical("history: %s (%s): this gateway ends", self._fault, self._settings.stream)
            self._over()
            return True
        self._remember(now, state.last)
        if self._fault and self._target is None:
            self._target = state.last  # reachable again; in order once this is handed on
        if self._target is not None and self._target <= self._intake.taken:
            self._target = None
            logger.info(
                "history: caught up with the stream %s at offset %d", self._settings.stream, self._intake.newest
            )
            self._fault = ""
        return False

    def _remember(self, now: float, last: int) -> None:
        looks = self._behind()
        if last <= self._intake.taken:
            return
        self._last = last
        if not looks:
            self._step = 0.0
        elif now - looks[-1][0] < self._step:
            return
        if len(looks) >= LOOKS:
            # Of a backlog of hours it need not be known to half a second since when there was each part of it.
            self._looks = looks = deque(islice(looks, 0, None, 2))
            self._step = 2 * max(self._step, LOOK)
        looks.append((now, last))

    def _behind(self) -> deque[tuple[float, int]]:
        """The looks at what was not handed on yet, each with the newest record that there was by then."""
        looks = self._looks
        while looks and looks[0][1] <= self._intake.taken:
            looks.popleft()
        return looks
