"""`certificate new`, `renew`, `show`."""

import hashlib
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.commands.authority import CERTIFICATE, make, own_names
from gateway.config import Config
from gateway.edge.tls import DAY, certificate_facts
from gateway.errors import GatewayError


def new(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """Make one in `folder` for `names`, or for all that this machine is reached by; lines to print."""
    if (folder / CERTIFICATE).exists():
        raise GatewayError(f"{folder / CERTIFICATE} exists: sensor-gateway certificate renew keeps its names")
    yield from _made(folder, names or own_names())


def renew(folder: Path) -> Iterator[str]:
    """Make the one in `folder` anew, for the same names, by the same authority; the gateway takes it up by itself."""
    facts = certificate_facts(folder / CERTIFICATE)
    yield from _made(folder, facts.names)


def _made(folder: Path, names: Sequence[str]) -> Iterator[str]:
    authority = make(folder, names)
    yield from described(folder / CERTIFICATE)
    yield f"authority    {authority}, SHA-256 {fingerprint(authority)}"
    yield 'in config    tls = { certificate = "tls/certificate.pem", key = "tls/key.pem" }'


def show(config: Config, folder: Path) -> Iterator[str]:
    """Every certificate that the configuration names, or the one in `folder`; lines to print. Raises GatewayError."""
    paths = [listen.tls.certificate for listen in config.listen if listen.tls is not None]
    if not paths:
        if not (folder / CERTIFICATE).exists():
            raise GatewayError(
                f"no [[listen]] has a certificate, and there is none in {folder}: "
                f"make one: sensor-gateway certificate new"
            )
        paths = [folder / CERTIFICATE]
    for path in dict.fromkeys(paths):
        yield from described(path)


def described(path: Path) -> Iterator[str]:
    """Lines about the first certificate in a file. Raises GatewayError."""
    facts = certificate_facts(path)
    days = (facts.not_after - time.time()) / DAY
    until = time.strftime("%Y-%m-%d", time.gmtime(facts.not_after))
    yield f"certificate  {path}"
    yield f"names        {', '.join(facts.names) or facts.common_name}"
    yield f"valid until  {until} ({days:.0f} days left)" if days > 0 else f"expired      {until}"


def fingerprint(path: Path) -> str:
    """The SHA-256 of a certificate, as browsers and phones show it."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(path.read_text("ascii"))).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
