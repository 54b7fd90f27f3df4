"""`certificate new`, `renew`, `show`."""

import hashlib
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.commands.authority import CA_KEY, CERTIFICATE, KEY, checked, make, own_names, signed_here
from gateway.config import DEFAULT_PATH, Config
from gateway.edge.tls import DAY, certificate_facts
from gateway.errors import GatewayError


def new(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """Make one in `folder` for `names`, or for all that this machine is reached by; lines to print."""
    if (folder / CERTIFICATE).exists():
        raise GatewayError(f"{folder / CERTIFICATE} exists: {_command('renew', folder)} keeps its names")
    yield from _made(folder, checked(names) or own_names())


def renew(folder: Path) -> Iterator[str]:
    """Make the one in `folder` anew, for the same names, by the same authority; the gateway takes it up by itself."""
    if not (folder / CERTIFICATE).exists():
        raise GatewayError(f"there is none in {folder} to renew: make one: {_command('new', folder)}")
    facts = certificate_facts(folder / CERTIFICATE)
    if not signed_here(folder):
        # In its place would come one of a new authority, which no browser believes yet.
        raise GatewayError(
            f"{folder / CERTIFICATE} is none of an authority whose key is in {folder}: renew it where it comes from, "
            f"such as an ACME client; for one of your own move it away, then: {_command('new', folder)}"
        )
    yield from _made(folder, facts.names)


def renewal(certificate: Path) -> str:
    """What renews a certificate that a configuration names, in words for people."""
    folder = certificate.parent
    if certificate.name != CERTIFICATE or not (folder / CA_KEY).exists():
        return "renew it where it comes from, such as an ACME client (it is taken up without a restart)"
    return f"{_command('renew', folder)} (it is taken up without a restart)"


def _command(what: str, folder: Path) -> str:
    usual = folder.absolute() == DEFAULT_PATH.parent / "tls"
    return f"sensor-gateway certificate {what}" + ("" if usual else f" --folder {folder}")


def _made(folder: Path, names: Sequence[str]) -> Iterator[str]:
    authority = make(folder, names)
    yield from described(folder / CERTIFICATE)
    yield f"authority    {authority}, SHA-256 {fingerprint(authority)}"
    # Beside the default configuration file they are found by their short names.
    usual = folder.absolute() == DEFAULT_PATH.parent / "tls"
    place = Path("tls") if usual else folder.absolute()
    yield f'in config    tls = {{ certificate = "{place / CERTIFICATE}", key = "{place / KEY}" }}'


def show(config: Config, folder: Path) -> Iterator[str]:
    """Every certificate that the configuration names, or the one in `folder`; lines to print. Raises GatewayError."""
    paths = [listen.tls.certificate for listen in config.listen if listen.tls is not None]
    if not paths:
        if not (folder / CERTIFICATE).exists():
            raise GatewayError(
                f"no [[listen]] has a certificate, and there is none in {folder}: make one: {_command('new', folder)}"
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
