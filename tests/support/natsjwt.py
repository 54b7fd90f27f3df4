"""An operator of NATS with accounts and users of its own: JWTs (nats-io/jwt, version 2) and .creds files, as nsc makes.

Only what a server asks for: unlimited accounts, users that may do everything.
"""

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import nkeys

OPERATOR, ACCOUNT, USER = nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_USER

_UNLIMITED = {
    **dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1),
    "wildcards": True,
}
_STORAGE = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)


class Operator:
    """Signs the accounts `SYS` and `gateways`; `config` makes a server believe it and know both."""

    def __init__(self) -> None:
        self._keys, _ = pair(OPERATOR)
        self._account, _ = pair(ACCOUNT)
        system, _ = pair(ACCOUNT)
        trusted = self._claims(self._keys, self._keys, "operator", {})
        gateways = self._claims(self._keys, self._account, "account", {"limits": {**_UNLIMITED, **_STORAGE}})
        sys = self._claims(self._keys, system, "account", {"limits": _UNLIMITED})
        self.config = f"""operator: {trusted}
system_account: {public(system)}
resolver: MEMORY
resolver_preload: {{ {public(self._account)}: {gateways}, {public(system)}: {sys} }}
"""

    def credentials(self, file: Path, *, seconds: float | None = None) -> Path:
        """Write the .creds file of a new user of the account `gateways`; it is over in so many seconds, if any."""
        keys, seed = pair(USER)
        limits = {"pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
        jwt = self._claims(self._account, keys, "user", limits, seconds=seconds)
        file.write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            "************************* IMPORTANT *************************\n"
            "NKEY Seed printed below can be used to sign and prove identity.\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n\n"
            "*************************************************************\n"
        )
        return file

    def _claims(
        self,
        issuer: nkeys.KeyPair,
        subject: nkeys.KeyPair,
        kind: str,
        about: dict[str, Any],
        *,
        seconds: float | None = None,
    ) -> str:
        now = int(time.time())
        claims = {
            "jti": os.urandom(8).hex(),
            "iat": now,
            "iss": public(issuer),
            "name": kind,
            "sub": public(subject),
            "nats": {**about, "type": kind, "version": 2},
        }
        if seconds is not None:
            claims["exp"] = int(now + seconds)
        signed = f"{_coded({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_coded(claims)}"
        return f"{signed}.{_unpadded(issuer.sign(signed.encode()))}"


def pair(kind: int) -> tuple[nkeys.KeyPair, str]:
    """New keys and their seed."""
    seed = nkeys.encode_seed(os.urandom(32), kind)
    return nkeys.from_seed(bytearray(seed)), seed.decode()


def public(keys: nkeys.KeyPair) -> str:
    """The public key, as a server's configuration has it."""
    return str(keys.public_key.decode())


def _coded(value: object) -> str:
    return _unpadded(json.dumps(value).encode())


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
