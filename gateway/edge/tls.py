"""TLS for the listeners: Mozilla's intermediate profile, 1.2 and 1.3."""

import ssl
from pathlib import Path

from gateway.errors import GatewayError

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


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for a listener.

    Raises GatewayError, naming the file, where certificate and key cannot be read or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    # A renegotiation costs the server more than the client; nobody needs one.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    for path in (certificate, key):
        try:
            path.read_bytes()
        except OSError as error:
            raise GatewayError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        what = "certificate and key do not belong together" if "MISMATCH" in str(error) else "no certificate and key"
        raise GatewayError(f"{certificate} and {key}: {what} (PEM): {error.reason or error}") from None
    return context
