"""How the gateway signs in to NATS: user, token, credentials or key, and TLS.

Secrets are read anew at every connect, so that a rotated one needs no restart.
"""

import base64
import logging
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from gateway.config import JetStream
from gateway.config.natskeys import credentials_of, seed_of
from gateway.errors import GatewayError
from gateway.logs.natspy import Connection, NatsError, nkeys

logger = logging.getLogger("gateway.history")

T = TypeVar("T")

_REFUSED = re.compile("authorization violation|authentication (?:expired|revoked)", re.IGNORECASE)


def sign_in(settings: JetStream, connection: Connection) -> dict[str, Any]:
    """The options of nats-py's `connect` by which it signs in. Raises GatewayError where a certificate cannot be
    read."""
    options: dict[str, Any] = {}
    if settings.user:
        options["user"] = settings.user
        if settings.password_file is not None:
            options["password"] = _reader(settings.password_file)
    elif settings.token_file is not None:
        options["token"] = _reader(settings.token_file)
    elif settings.credentials is not None:
        # Not nats-py's own: a file without a JWT would have it read for ever.
        options["user_jwt_cb"], options["signature_cb"] = _credentials(settings.credentials)
    elif settings.nkey_file is not None:
        options["signature_cb"] = _nkey(settings.nkey_file, connection)
    if any(url.startswith("tls:") for url in settings.urls):
        options["tls"] = _tls(settings)
    return options


def advice(settings: JetStream, error: Exception) -> str:
    """Where to look after a server that does not let us in."""
    if not isinstance(error, NatsError) or not _REFUSED.search(str(error)):
        return ""
    ways = ("user", "token_file", "credentials", "nkey_file")
    way = next((way for way in ways if getattr(settings, way)), "")
    return f" (it refuses jetstream.{way})" if way else " (it wants to know who we are: jetstream.credentials, say)"


def _tls(settings: JetStream) -> ssl.SSLContext:
    tls = settings.tls
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(str(file) for file in (tls.ca, tls.certificate, tls.key) if file is not None)
        raise GatewayError(f"jetstream.tls: {files}: {error.strerror or error}") from error
    if tls.insecure:
        logger.warning("history: jetstream.tls.insecure: any certificate of the NATS servers is believed")
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _reader(file: Path) -> Callable[[], str]:
    return lambda: _read(file, str.strip)


def _credentials(file: Path) -> tuple[Callable[[], bytearray], Callable[[str], bytes]]:
    def jwt() -> bytearray:
        return bytearray(_read(file, credentials_of).jwt.encode())

    def sign(nonce: str) -> bytes:
        return _signed(nkeys.from_seed(bytearray(_read(file, credentials_of).seed.encode())), nonce)

    return jwt, sign


def _nkey(file: Path, connection: Connection) -> Callable[[str], bytes]:
    def sign(nonce: str) -> bytes:
        keys = nkeys.from_seed(bytearray(_read(file, seed_of).encode()))
        # Named in the same command, and another one where the file was exchanged.
        connection.known_as(keys.public_key.decode())
        return _signed(keys, nonce)

    return sign


def _read(file: Path, read: Callable[[str], T]) -> T:
    try:
        return read(file.read_text("utf-8"))
    except UnicodeDecodeError:
        raise NatsError(f"{file} is not UTF-8") from None
    except ValueError as error:
        raise NatsError(f"{file} {error}") from None


def _signed(keys: nkeys.KeyPair, nonce: str) -> bytes:
    signature = base64.b64encode(keys.sign(nonce.encode()))
    keys.wipe()
    return signature
