"""Tokens: `gw_<id>_<secret>`, 256 bits, shown once; kept as id and SHA-256 in a file, read again when it changes.

A fast hash is right here: nobody guesses 256 bits, so there is nothing for a slow one to slow down. The file is JSON,
0640, replaced as a whole, so that a reader never sees half of it.
"""

import fcntl
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from gateway.errors import GatewayError
from gateway.whole import write_whole

PREFIX = "gw_"
_TOKEN = re.compile(r"gw_([a-z0-9]{10})_([A-Za-z0-9_-]{43})")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


class Token(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token without its secret. `created` and `expires` are Unix seconds; without `expires` it is for ever."""

    id: str
    name: str
    role: str
    sha256: str
    created: float
    expires: float | None = None


class _File(msgspec.Struct, frozen=True):
    tokens: list[Token]
    version: int = 1


def is_token(text: str) -> bool:
    """Whether `text` claims to be a token of ours (and no JWT)."""
    return text.startswith(PREFIX)


class Tokens:
    """The tokens of a file, as last read. A file that is not there holds none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_id: dict[str, Token] = {}
        self._stamp: tuple[int, int, int] | None = None

    def refresh(self) -> bool:
        """Read the file again if it has changed; whether it had. Raises GatewayError, the old ones stay valid then."""
        stamp = _stamp_of(self.path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp  # a broken file is told of once, not at every look
        self._by_id = {token.id: token for token in _read(self.path)}
        return True

    def all(self) -> list[Token]:
        """Every token, the oldest first."""
        return sorted(self._by_id.values(), key=lambda token: token.created)

    def find(self, id: str) -> Token | None:
        """The token of this id."""
        return self._by_id.get(id)

    def verify(self, text: str, now: float) -> Token | str:
        """The token that `text` is, or why it is none (never with any part of it); `now` in Unix seconds."""
        found = _TOKEN.fullmatch(text)
        if found is None:
            return "this is no token of this gateway"
        token = self._by_id.get(found[1])
        # An unknown id costs as much as a wrong secret.
        same = hmac.compare_digest(_hash(found[2]), token.sha256 if token is not None else _NOBODY)
        if token is None or not same:
            return "this token is not known here"
        if token.expires is not None and now >= token.expires:
            return "this token has expired"
        return token

    # What the command line does.

    def new(self, name: str, role: str, *, now: float, expires: float | None = None) -> str:
        """Add a token and return its text, which is kept nowhere. Raises GatewayError for a name taken or unusable."""
        if not _NAME.fullmatch(name):
            raise GatewayError(f'"{name}" is no usable name: up to 64 letters, digits and . _ @ -, first a letter')
        id, secret = "".join(secrets.choice(_ALPHABET) for _ in range(10)), secrets.token_urlsafe(32)
        with self._changing() as tokens:
            if any(token.name == name for token in tokens):
                raise GatewayError(f'there is a token "{name}" already: revoke it first, or take another name')
            tokens.append(Token(id, name, role, _hash(secret), now, expires))
        return f"{PREFIX}{id}_{secret}"

    def revoke(self, name: str) -> Token:
        """Take the token of this name (or id) away. Raises GatewayError where there is none."""
        with self._changing() as tokens:
            found = next((token for token in tokens if name in (token.name, token.id)), None)
            if found is None:
                raise GatewayError(f'there is no token "{name}": sensor-gateway token list shows them')
            tokens.remove(found)
        return found

    @contextmanager
    def _changing(self) -> Iterator[list[Token]]:
        """The tokens, to be changed and written back; one process at a time."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path.with_name(self.path.name + ".lock"), "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                tokens = _read(self.path)
                yield tokens
                _write(self.path, tokens)
        except OSError as error:
            raise GatewayError(f"{self.path}: {error.strerror}") from None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _stamp_of(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0, 0
    except OSError as error:
        raise GatewayError(f"{path}: cannot be read: {error.strerror}") from None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> list[Token]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File).tokens
    except FileNotFoundError:
        return []
    except OSError as error:
        raise GatewayError(f"{path}: cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        remedy = "put a backup in its place, or move it away and make new ones"
        raise GatewayError(f"{path}: no file of tokens: {error}: {remedy}") from None


def _write(path: Path, tokens: list[Token]) -> None:
    data = msgspec.json.format(msgspec.json.encode(_File(tokens)), indent=1) + b"\n"
    # Made by root, read by the service: the file belongs to whom its folder belongs.
    folder = path.parent.stat()
    write_whole(path, data, 0o640, user=folder.st_uid, group=folder.st_gid)
