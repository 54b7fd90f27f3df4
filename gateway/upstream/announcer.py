"""The state of a link: told to the listener and the log once per change, not per try."""

import logging
from collections.abc import Callable
from typing import Any

from gateway.hub.ports import CONNECTED, CONNECTING, UpstreamListener, UpstreamState

logger = logging.getLogger("gateway.upstream")


class Announcer:
    """Keeps `state`; `since` is when the state began, whatever became of its reason since then."""

    def __init__(self, name: str, listener: UpstreamListener, clock: Callable[[], float]) -> None:
        self._listener = listener
        self._clock = clock
        self.state = UpstreamState(name, CONNECTING, clock())
        self._reasons: dict[str | None, str | None] = {}

    def change(
        self,
        state: str,
        *,
        url: str | None = None,
        reason: str | None = None,
        retry_in: float | None = None,
        details: str = "",
    ) -> None:
        """The link is in `state` now; `details` are for the log. The same state for the same reason is no change."""
        old = self.state
        same = old.state == state
        self.state = UpstreamState(
            old.name, state, old.since if same else self._clock(), retry_in=retry_in, url=url, reason=reason
        )
        # Several urls that fail for a reason each would otherwise be told at every try.
        known = same and url in self._reasons and self._reasons[url] == reason
        if not same:
            self._reasons.clear()
        self._reasons[url] = reason
        if known:
            return
        self._log(old, details)
        self._tell(self._listener.upstream_changed, self.state)

    def lost_messages(self) -> None:
        """Messages passed by that nobody can count."""
        self._tell(self._listener.upstream_gap, self.state.name)

    def _tell(self, listener: Callable[[Any], None], what: Any) -> None:
        try:
            listener(what)
        except Exception:  # its fault must not be the link's end: nobody would bring it up again
            logger.exception("upstream %s: a fault in the gateway; it goes on", self.state.name)

    def _log(self, old: UpstreamState, details: str) -> None:
        state = self.state
        parts = [f"upstream {state.name}: {state.state}"]
        if state.url:
            parts.append(f" {'to' if state.state == CONNECTED else 'at'} {state.url}")
        parts += [f": {text}" for text in (details, state.reason) if text]
        if state.retry_in is not None:
            parts.append(f"; next try in {state.retry_in:.1f} s")
        level = logging.INFO if state.state in (CONNECTED, CONNECTING) else logging.WARNING
        fields = {"upstream": state.name, "state": state.state}
        logger.log(level, "%s", "".join(parts), extra={"fields": fields, "subject": state.name})
