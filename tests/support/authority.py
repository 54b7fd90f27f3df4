"""A certificate authority of the test run, for certificates that are right or wrong in a certain way."""

import ssl
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import trustme


class Pair(NamedTuple):
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """What a server needs to show this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Signs certificates; all files are in `folder`, its own certificate is `ca`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self._count = 0
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(self.ca)

    def issue(self, *identities: str, not_before: datetime | None = None, not_after: datetime | None = None) -> Pair:
        """A certificate for host names, addresses or mail addresses; localhost where none is given."""
        issued = self._authority.issue_cert(
            *(identities or ("localhost", "127.0.0.1")), not_before=not_before, not_after=not_after
        )
        self._count += 1
        pair = Pair(self._folder / f"{self._count}.pem", self._folder / f"{self._count}.key")
        for number, blob in enumerate(issued.cert_chain_pems):
            blob.write_to_path(pair.certificate, append=number > 0)
        issued.private_key_pem.write_to_path(pair.key)
        return pair
