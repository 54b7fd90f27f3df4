"""Who asks: by credential, else as somebody on this machine or anybody, as far as that is allowed. Pure."""

from gateway.edge.audit import audit
from gateway.edge.credentials import ANONYMOUS, Credentials, Identity, Judge, Refusal
from gateway.edge.doors import Door
from gateway.edge.hosts import is_loopback_host
from gateway.edge.http import Reply
from gateway.edge.visits import Access, Visit
from gateway.topics import shorten

LOCAL = "local"
LOCAL_ROLE = "viewer"


def who_asks(visit: Visit, credentials: Credentials, judge: Judge, access: Access) -> Identity | Refusal | Reply | None:
    """Who asks; None where somebody may still say so, a Reply where the Host is not ours."""
    address = visit.caller.address
    found: Identity | Refusal | None
    if credentials.header is not None:
        found = judge.bearer(credentials.header, address)
    else:
        found = judge.certificate(visit.peer.certificate)
        if found is None and visit.caller.proxied:
            found = judge.proxy(visit.request.headers)
        if found is None and credentials.subprotocol is not None:
            found = judge.bearer(credentials.subprotocol, address)
    if isinstance(found, Refusal):
        judge.audit_refusal(found, address=address)
    if found is not None:
        return found
    return _anonymous(visit, judge, access)


def who_still(identity: Identity, door: Door, judge: Judge, access: Access) -> Identity | Refusal:
    """Who somebody is by the rules as they are now."""
    if identity.method != ANONYMOUS:
        return judge.still(identity)
    name = _anonymous_name(door, access)
    if name == LOCAL:
        name = LOCAL_ROLE if identity.credential == LOCAL else ""
    role = judge.roles.get(name)
    if role is None:
        return Refusal("nobody comes in without a credential any more")
    return Identity(role, credential=identity.credential)


def misdirected(visit: Visit) -> Reply:
    """The answer to a Host that is none of our names."""
    host = shorten(visit.caller.host)
    audit("host", "refused", address=visit.caller.address, host=host)
    return Reply.refusal(421, f'Host "{host}" is not ours: add it to [[listen]] hosts, or sign in')


def _anonymous_name(door: Door, access: Access) -> str:
    return access.anonymous if door.anonymous is None else door.anonymous


def _anonymous(visit: Visit, judge: Judge, access: Access) -> Identity | Reply | None:
    name = wanted = _anonymous_name(visit.peer.door, access)
    if wanted == LOCAL:
        if not (visit.peer.loopback and visit.caller.direct):
            return None
        name = LOCAL_ROLE
    role = judge.roles.get(name)
    if role is None:
        return None
    if not visit.names_us:
        return misdirected(visit)
    if wanted == LOCAL and not is_loopback_host(visit.caller.host):
        return None
    return Identity(role, credential=LOCAL if wanted == LOCAL else "anyone")
