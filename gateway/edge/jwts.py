"""JSON Web Tokens that somebody else signed (RFC 7519), judged by one algorithm and one key, both of the configuration.

PyJWT is imported only where the method is on. What a token says about itself (`alg`, `kid`, `jku`) chooses nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gateway.errors import GatewayError

MAX_SIZE = 8 * 1024
LEEWAY = 30.0  # seconds that two clocks may differ
# RFC 7518, 3.2 and 3.3: no key shorter than its hash, no RSA below 2048 bits.
MIN_SECRET = {"HS256": 32, "HS384": 48, "HS512": 64}
MIN_RSA = 2048


class Claims(NamedTuple):
    """What a good token says: whom it names, which roles, which topics (None: says nothing of them), until when."""

    user: str
    roles: tuple[str, ...]
    topics: tuple[str, ...] | None
    expires: float


class Jwts:
    """A judge of tokens. The key's file is read again when it changes. Raises GatewayError where it cannot be used."""

    def __init__(
        self, *, algorithm: str, key_file: Path, audience: str, issuer: str, role_claim: str, topics_claim: str
    ) -> None:
        try:
            import jwt
        except ImportError:
            text = 'the method "jwt" needs PyJWT: pip install "sensor-gateway[jwt]"'
            raise GatewayError(text) from None
        self._jwt = jwt
        self._algorithm = algorithm
        self._key_file = key_file
        self._audience = audience
        self._issuer = issuer
        self._role_claim = role_claim
        self._topics_claim = topics_claim
        self._stamp: tuple[int, int] | None = None
        self._key: Any = None
        self.refresh()

    def refresh(self) -> bool:
        """Read the key again if its file has changed; whether it had. Raises GatewayError, the old key stays then."""
        try:
            found = self._key_file.stat()
            stamp = found.st_mtime_ns, found.st_size
            if stamp == self._stamp:
                return False
            self._stamp = stamp
            data = self._key_file.read_bytes()
        except OSError as error:
            raise GatewayError(f"{self._key_file}: cannot be read: {error.strerror}") from None
        least = MIN_SECRET.get(self._algorithm, 0)
        if least:
            data = data.strip()
            if len(data) < least:
                raise GatewayError(f"{self._key_file}: a secret of {len(data)} bytes, expected {least} or more")
        try:
            key = self._jwt.get_algorithm_by_name(self._algorithm).prepare_key(data)
        # NotImplementedError is how PyJWT refuses an algorithm of which the library under it is not there.
        except (ValueError, TypeError, NotImplementedError, self._jwt.PyJWTError):
            raise GatewayError(f"{self._key_file}: no key for {self._algorithm}, expected PEM") from None
        if self._algorithm.startswith("RS") and key.key_size < MIN_RSA:
            raise GatewayError(f"{self._key_file}: an RSA key of {key.key_size} bits, expected {MIN_RSA} or more")
        self._key = key
        return True

    def verify(self, text: str) -> Claims | str:
        """What the token says, or why it is not believed (never with any part of it)."""
        if len(text) > MAX_SIZE:
            return f"a token of more than {MAX_SIZE} bytes"
        try:
            claims = self._jwt.decode(
                text,
                self._key,
                algorithms=[self._algorithm],
                audience=self._audience or None,
                issuer=self._issuer or None,
                leeway=LEEWAY,
                options={
                    "require": ["exp", *(["aud"] if self._audience else []), *(["iss"] if self._issuer else [])],
                    "verify_aud": bool(self._audience),
                },
            )
        except self._jwt.ExpiredSignatureError:
            return "this token has expired"
        except self._jwt.PyJWTError as error:
            return f"this token is not believed: {_WHY.get(type(error).__name__, 'it is malformed')}"
        except (ValueError, TypeError, RecursionError):
            return "this token is not believed: it is malformed"
        return self._claims(claims)

    def _claims(self, claims: dict[str, Any]) -> Claims | str:
        user, expires = claims.get("sub", ""), claims["exp"]
        roles = _texts(claims.get(self._role_claim))
        if not isinstance(user, str) or roles is None:
            return f'this token is not believed: its claim "{self._role_claim}" names no role'
        topics = None
        if self._topics_claim:
            # A token without the claim reads nothing: whoever turned it on wants it to narrow.
            topics = tuple(_texts(claims.get(self._topics_claim)) or ())
        return Claims(user, tuple(roles), topics, float(expires))


_WHY = {
    "InvalidSignatureError": "its signature is wrong",
    "InvalidAlgorithmError": "it is signed by another algorithm",
    "ImmatureSignatureError": "it is not valid yet",
    "InvalidAudienceError": "it is meant for somebody else (aud)",
    "InvalidIssuerError": "somebody else issued it (iss)",
    "MissingRequiredClaimError": "a claim that it must have is missing (exp, aud or iss)",
}


def _texts(value: Any) -> Sequence[str] | None:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return value
    return None
