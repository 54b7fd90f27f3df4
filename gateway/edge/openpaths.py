"""What needs no credential: the page and its files, and how the gateway is, for who balances load or deploys. Pure."""

from collections.abc import Callable, Mapping

from websockets.http11 import Request

from gateway.edge.http import Reply
from gateway.edge.static import Asset
from gateway.hub.ports import CONNECTED, UpstreamStatus


class OpenPaths:
    """`draining` from the start of the drain.

    `readiness`, where the log is shared, says why this gateway does not show what it holds, "" while it does.
    """

    def __init__(self, assets: Mapping[str, Asset], upstreams: UpstreamStatus) -> None:
        self.draining = False
        self.readiness: Callable[[], str] | None = None
        self._assets = assets
        self._upstreams = upstreams

    def answer(self, path: str, request: Request) -> Reply:
        """What a request for one of them gets: 404 for all that there is not."""
        if path == "/healthz":
            return Reply(503, b"draining\n") if self.draining else Reply(200, b"ok\n")
        if path == "/readyz":
            return self._ready()
        asset = self._assets.get(path)
        if asset is None:
            return Reply.refusal(404, "there is nothing here; the dashboard is at /, the stream at /stream")
        headers = request.headers
        status, body, extra = asset.answer(
            ",".join(headers.get_all("If-None-Match")), ",".join(headers.get_all("Accept-Encoding"))
        )
        return Reply(status, body, asset.content_type, extra)

    def _ready(self) -> Reply:
        states = self._upstreams.states()
        text = "".join(f"{state.name}: {state.state}\n" for state in states).encode()
        ready = not self.draining and any(state.state == CONNECTED for state in states)
        if self.readiness is not None:
            # Whoever follows the brokers, all that came in is in the log.
            fault = self.readiness()
            text += f"log: {fault or 'in order'}\n".encode()
            ready = not self.draining and not fault
        return Reply(200 if ready else 503, text)
