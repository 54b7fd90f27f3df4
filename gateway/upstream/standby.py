"""A link that follows nothing: another gateway follows the broker, and this one only takes viewers' messages there."""

from msgspec.structs import replace

from gateway.config import Upstream


def standby(settings: Upstream, mark: str) -> Upstream:
    """The settings of a link that stands by: a session of its own that ends with it, no filters, nothing published.

    `mark` is this gateway's own.
    """
    # Not the client id of the one that follows: the broker would throw that one out.
    client_id = f"sensor-gateway-{settings.name[:32]}-{mark}"
    # The same whether others follow or nobody does: what is connected stays so.
    return replace(settings, ingest="none", client_id=client_id, session_expiry=0.0, topics=(), canary=None, status="")
