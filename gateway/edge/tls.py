"""TLS for the listeners: Mozilla's intermediate profile, 1.2 and 1.3, and certificates that change under way.

A set (certificate, key, client CA) is tried in a context of its own and only then takes the place of the one in use:
OpenSSL, given a mismatched pair, breaks a live context.
"""

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.edge.x509 import Facts, facts_of
from gateway.errors import GatewayError

DAY = 86_400.0
WARN_DAYS = (21, 7, 1)

_CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    )
)


def server_context(certificate: Path, key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """A context for a listener; with `client_ca` clients may show a certificate that it signed.

    Raises GatewayError, naming the file, where certificate and key cannot be read or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    # A renegotiation costs the server more than the client; nobody needs one.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    for path in (certificate, key, *([client_ca] if client_ca else [])):
        try:
            path.read_bytes()
        except OSError as error:
            raise GatewayError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        # An empty passphrase, lest OpenSSL asks for one on the terminal.
        context.load_cert_chain(certificate, key, lambda: "")
    except ssl.SSLError as error:
        what = "certificate and key do not belong together" if "MISMATCH" in str(error) else "no certificate and key"
        raise GatewayError(f"{certificate} and {key}: {what} (PEM): {error.reason or error}") from None
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except ssl.SSLError as error:
            raise GatewayError(f"{client_ca}: no certificates (PEM): {error.reason or error}") from None
        # Optional: browsers that have none come in by a token.
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def certificate_facts(certificate: Path) -> Facts:
    """Names and validity of the first certificate in a PEM file. Raises GatewayError."""
    try:
        text = certificate.read_text("ascii", "replace")
        if ssl.PEM_HEADER not in text or ssl.PEM_FOOTER not in text:
            raise ValueError("expected PEM")
        start = text.index(ssl.PEM_HEADER)
        end = text.index(ssl.PEM_FOOTER, start) + len(ssl.PEM_FOOTER)
        return facts_of(ssl.PEM_cert_to_DER_cert(text[start:end]))
    except OSError as error:
        raise GatewayError(f"{certificate}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise GatewayError(f"{certificate}: no certificate that can be read: {error}") from None


class Tls:
    """The context in use on a listener; new connections take it as it is at their time.

    `facts` are those of the certificate, None where a test gave a context of its own.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.facts: Facts | None = None

    def refresh(self, *, force: bool = False) -> bool:
        """Take the files as they are now; whether they had changed. Raises GatewayError, nothing changes then."""
        return False


class TlsFiles(Tls):
    """A context from files. Raises GatewayError where they cannot be used."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        super().__init__(server_context(certificate, key, client_ca))
        self.certificate = certificate
        self._files = [certificate, key, *([client_ca] if client_ca else [])]
        self._client_ca = client_ca
        self._key = key
        self.facts = certificate_facts(certificate)
        self._stamp = _stamp(self._files)

    def refresh(self, *, force: bool = False) -> bool:
        stamp = _stamp(self._files)
        if stamp == self._stamp and not force:
            return False
        # Half a change (the certificate is there, its key not yet) fails here and is tried again at the next one.
        self._stamp = stamp
        context = server_context(self.certificate, self._key, self._client_ca)
        self.facts = certificate_facts(self.certificate)
        self.context = context
        return True


def _stamp(files: Sequence[Path]) -> list[tuple[int, int, int] | None]:
    found: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            found.append(None)  # between removal and the new file; server_context says what is wrong if it stays so
            continue
        found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return found


def warning_due(not_after: float, now: float, said: int | None) -> int | None:
    """Which of the thresholds of WARN_DAYS (or 0: expired) is reached and was not `said` yet; Unix seconds."""
    left = (not_after - now) / DAY
    reached = 0 if left <= 0 else next((days for days in sorted(WARN_DAYS) if left <= days), None)
    return reached if reached is not None and (said is None or reached < said) else None


def names_in(peer_certificate: Mapping[str, object] | None) -> tuple[str, ...]:
    """The names of a client's certificate as `SSLSocket.getpeercert` gives it: CN first, then subjectAltName."""
    if not peer_certificate:
        return ()
    names = []
    subject: object = peer_certificate.get("subject", ())
    for relative in subject if isinstance(subject, tuple) else ():
        names += [value for key, value in relative if key == "commonName"]
    alternatives: object = peer_certificate.get("subjectAltName", ())
    for _, value in alternatives if isinstance(alternatives, tuple) else ():
        if isinstance(value, str):
            names.append(value)
    return tuple(names)
