"""Whether the link sees what goes through the broker, and what is done when it is connected but blind."""

import asyncio
import logging
import secrets
from typing import Protocol

from gateway.upstream.canary import Canary, Cure, cure
from gateway.upstream.counters import Counters

logger = logging.getLogger("gateway.upstream")


class Patient(Protocol):
    """The link, as far as blindness concerns it."""

    def send_probe(self, payload: bytes) -> None:
        """Publish to the probe's topic, if there is a connection."""

    def blinded(self) -> None:
        """The probe is missing: say so."""

    def sees_again(self) -> None:
        """The probe is back: say so."""

    def resubscribe(self) -> None:
        """Ask for everything again within the connection, then `Sight.start`."""

    def reconnect(self, reason: str) -> None:
        """Connect anew without waiting."""


class Sight:
    """Probes the link every `interval` seconds (None: never); tries one cure after the other while it is blind.

    `suffix` belongs behind the client id: a fresh one is the last cure.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        upstream: str,
        interval: float | None,
        counters: Counters,
        patient: Patient,
    ) -> None:
        self.suffix = ""
        self._upstream = upstream
        self._counters = counters
        self._patient = patient
        self._allowed = True
        self._canary: Canary | None = None
        if interval:
            self._canary = Canary(loop, interval, send=patient.send_probe, missed=self._missed, seen=patient.sees_again)

    @property
    def is_blind(self) -> bool:
        """Whether probes are missing, over as many connections as it takes."""
        return self._canary is not None and self._canary.misses > 0

    def allow(self, allowed: bool) -> None:
        """Whether the broker lets the probe come back. Where it does not, silence says nothing about the rest."""
        if self._canary is None:
            return
        if not allowed:
            self._canary.forget()
            if self._allowed:
                logger.warning("upstream %s: the broker refuses the topic of our probe: not probed", self._upstream)
        self._allowed = allowed

    def start(self) -> None:
        """The connection stands, or a cure has been tried: probe it."""
        if self._canary is not None and self._allowed:
            self._canary.start()

    def stop(self) -> None:
        """The connection is over; whether it was blind is remembered."""
        if self._canary is not None:
            self._canary.stop()

    def came_back(self, payload: bytes) -> None:
        """A message on the probe's topic."""
        if self._canary is not None:
            self._canary.came_back(payload)

    def _missed(self, misses: int) -> None:
        """A probe is missing: the link says connected, and nothing comes."""
        self._counters.canaries_missed += 1
        step = cure(misses)
        self._patient.blinded()
        level = logging.DEBUG if step is Cure.RESUBSCRIBE and misses > 1 else logging.WARNING
        logger.log(level, "upstream %s: %d probes missing: %s", self._upstream, misses, step.value)
        if step is Cure.RESUBSCRIBE:
            self._patient.resubscribe()
            return
        if step is Cure.NEW_CLIENT_ID:
            self.suffix = f"-{secrets.token_hex(2)}"
        self._patient.reconnect(f"blind: {step.value}")
