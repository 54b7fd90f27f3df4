"""Files by which one signs in to NATS with a key: a user's JWT and seed (.creds), or a seed alone (NKey). Pure.

Formats: NATS documentation, "Decentralized JWT Authentication/Authorization", "NKeys"; github.com/nats-io/nkeys.
"""

import re
from typing import NamedTuple

# The dashes differ between the tools that write them.
_JWT = re.compile(r"-{3,}\s*BEGIN NATS USER JWT\s*-{3,}\s+([\w-]+\.[\w-]+\.[\w-]+)\s+-{3,}")
_DECORATED_SEED = re.compile(r"-{3,}\s*BEGIN USER NKEY SEED\s*-{3,}\s+(\S+)\s+-{3,}")
# 35 bytes in base32: the kinds (seed, user), 32 of the key, a checksum.
_SEED = re.compile(r"SU[A-Z2-7]{56}")


class Credentials(NamedTuple):
    """What a .creds file holds."""

    jwt: str
    seed: str

    def __repr__(self) -> str:
        return "<credentials>"


def credentials_of(text: str) -> Credentials:
    """Read a .creds file. Raises ValueError with what is missing; the text itself is never repeated."""
    jwt = _JWT.search(text)
    if jwt is None:
        raise ValueError("holds no user JWT, expected a .creds file as nsc generate creds makes it")
    seed = _DECORATED_SEED.search(text)
    if seed is None or not _SEED.fullmatch(seed[1]):
        raise ValueError("holds no user's seed, expected a .creds file as nsc generate creds makes it")
    return Credentials(jwt[1], seed[1])


def seed_of(text: str) -> str:
    """Read the file of an NKey. Raises ValueError with what is missing; the text itself is never repeated."""
    text = text.strip()
    if not _SEED.fullmatch(text):
        raise ValueError("holds no user's seed, expected SU and 56 characters as nk -gen user makes them")
    return text
