"""paho's client on a socket that it is handed, and what it logs."""

import logging
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from gateway.errors import UpstreamError
from gateway.upstream.bufferedsocket import BufferedSocket

logger = logging.getLogger("gateway.upstream")


class Paho(mqtt.Client):
    """paho's client on a socket that it is handed instead of opening one, which would block the loop."""

    handed: BufferedSocket | None = None

    def _create_socket(self) -> Any:
        handed, self.handed = self.handed, None
        if handed is None:
            raise UpstreamError("paho asked for a socket of its own accord")
        return handed


class PahoLog:
    """What paho logs, at level debug, since the link tells each change itself; but a fault in our callbacks is one."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream

    def log(self, level: int, form: str, *arguments: object) -> None:
        if form.startswith("Caught exception"):
            logger.error("upstream %s: a fault in the gateway: " + form, self._upstream, *arguments, exc_info=True)
        else:
            logger.debug("upstream %s: " + form, self._upstream, *arguments)


def make_paho(client_id: str, *, version_5: bool, clean: bool) -> Paho:
    """A client that leaves reconnects, acknowledgements and the loop to us; `clean`: it begins without a session."""
    paho = Paho(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if version_5 else clean,
        protocol=MQTTProtocolVersion.MQTTv5 if version_5 else MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    # An exception that leaves a callback makes paho handle the same packet for ever.
    paho.suppress_exceptions = True
    return paho
