"""STOMP 1.1 and 1.2: `v12.stomp`, `v11.stomp` (https://stomp.github.io, whose section names stand in the comments)."""

import msgspec

from gateway.edge import commands, events
from gateway.edge.dialects import framing
from gateway.edge.dialects.dialect import Spoken
from gateway.edge.dialects.stomp_frames import Decoder, Frame, Malformed, encode
from gateway.edge.dialects.stomp_messages import StompVariant, meaning_of
from gateway.edge.dialects.stomp_subscriptions import EVENTS, Subscriptions, needed
from gateway.edge.dialects.window import Window
from gateway.errors import (
    ERROR_OF_CLOSE,
    FORBIDDEN,
    NO_PONG,
    NOT_AUTHENTICATED,
    PROTOCOL_ERROR,
    TOO_FAST,
    CloseConnection,
)
from gateway.hub.subscription import Subscription
from gateway.topics import shorten

NAMES = ("v12.stomp", "v11.stomp")
VERSIONS = ("1.2", "1.1")
BEAT = 10.0  # seconds; 1.2, "Heart-beating": what we can do and what we want
CONNECT_DEADLINE = 10.0
SIGN_IN = "connect"
_CODES = {
    "forbidden": FORBIDDEN.code,
    "bad-token": NOT_AUTHENTICATED.code,
    "not-authenticated": NOT_AUTHENTICATED.code,
    "too-fast": TOO_FAST.code,
}
_json = msgspec.json.Encoder().encode


class Stomp:
    """One client's STOMP. `limit` is the largest frame taken, in bytes."""

    queries = False
    copies = True
    beats = True

    def __init__(self, name: str, *, limit: int, show_upstream: bool = False) -> None:
        self.name = name
        self.ended: CloseConnection | None = None
        self._decoder = Decoder(limit)
        self._show_upstream = show_upstream
        self._welcome: events.Welcome | None = None
        self._connect: Frame | None = None
        self._version = VERSIONS[0]
        self._connected = False
        self._subscriptions = Subscriptions()
        self._told = 0
        self._receipts: dict[str, str] = {}
        self._replays: dict[str, str] = {}
        self._number = 0
        self._sends = self._expects = 0.0
        self._sent_at = 0.0
        self._heard = True
        self._heard_at: float | None = None

    @property
    def window(self) -> Window | None:
        return self._subscriptions.window

    # Bytes to commands.

    def commands(self, data: bytes, *, text: bool) -> list[Spoken]:
        self._heard = True
        self._decoder.feed(data)
        said: list[Spoken] = []
        try:
            while (frame := self._decoder.next()) is not None:
                said += self._obey(frame) if self._connect is not None else self._sign_in(frame)
        except Malformed as error:
            said += [self._refusal("malformed", str(error)), CloseConnection(PROTOCOL_ERROR.code, str(error))]
        return said

    def _sign_in(self, frame: Frame) -> list[Spoken]:
        if frame.command not in ("CONNECT", "STOMP"):
            raise Malformed("the first frame is CONNECT")
        # "Protocol Negotiation": a client that names no version speaks 1.0.
        offered = frame.headers.get("accept-version", "1.0").split(",")
        version = next((version for version in VERSIONS if version in offered), None)
        if version is None:
            why = f"STOMP {', '.join(offered)} is not spoken here: {', '.join(reversed(VERSIONS))} are"
            headers = {"version": ",".join(reversed(VERSIONS)), "message": shorten(why, 200)}
            return [encode("ERROR", headers), CloseConnection(PROTOCOL_ERROR.code, why)]
        self._connect, self._version = frame, version
        self._decoder.version = version
        self._agree_on_beats(frame.headers.get("heart-beat", "0,0"))
        token = frame.headers.get("Authorization", "") or frame.headers.get("passcode", "")
        if not token and self._welcome is None:
            token = frame.headers.get("login", "")
        if token:
            return [commands.Auth(token=token.removeprefix("Bearer "), id=SIGN_IN)]
        if self._welcome is None:
            why = "sign in: the passcode is a token"
            return [self._refusal("not-authenticated", why), CloseConnection(NOT_AUTHENTICATED.code, why)]
        return [self._accepted()]

    def _agree_on_beats(self, header: str) -> None:
        """ "Heart-beating": each way the slower of what one can do and the other wants; 0 is never."""
        can, _, wants = header.partition(",")
        if not (can.isascii() and can.isdigit() and wants.isascii() and wants.isdigit()):
            raise Malformed("heart-beat is two numbers of milliseconds")
        self._sends = max(BEAT, int(wants[:9]) / 1000) if int(wants[:9]) else 0.0
        self._expects = max(BEAT, int(can[:9]) / 1000) if int(can[:9]) else 0.0

    def _accepted(self) -> bytes:
        self._connected = True
        welcome = self._welcome
        assert welcome is not None
        beat = int(BEAT * 1000)
        headers = {
            "version": self._version,
            "session": welcome.session,
            "server": f"sensor-gateway/{welcome.build}",
            "heart-beat": f"{beat},{beat}",
            "epoch": welcome.epoch,
            "offset": str(welcome.offset),
        }
        return encode("CONNECTED", headers)

    def _obey(self, frame: Frame) -> list[Spoken]:
        command, headers = frame.command, frame.headers
        if command == "SUBSCRIBE":
            return self._subscribe(headers)
        if command == "UNSUBSCRIBE":
            return self._unsubscribe(headers)
        if command == "SEND":
            return [self._send(frame)]
        if command in ("ACK", "NACK"):
            return self._acknowledge(headers)
        if command == "DISCONNECT":
            return [*self._receipt(headers), CloseConnection(1000, "disconnected")]
        if command in ("CONNECT", "STOMP"):
            raise Malformed("a second CONNECT")
        raise Malformed("transactions are not offered: the gateway stores nothing")

    def _subscribe(self, headers: dict[str, str]) -> list[Spoken]:
        wish = self._subscriptions.add(headers, self._remember(headers))
        if wish is None:
            return self._receipt(headers)
        if wish.replay != "none":
            self._replays[str(wish.id)] = wish.copy
        return [wish]

    def _unsubscribe(self, headers: dict[str, str]) -> list[Spoken]:
        id = needed(headers, "id")
        filter = self._subscriptions.remove(id)
        if filter is None:
            return self._receipt(headers)
        return [commands.Unsubscribe(topics=[filter], id=self._remember(headers), copy=id)]

    def _send(self, frame: Frame) -> Spoken:
        headers = frame.headers
        if "transaction" in headers:
            raise Malformed("transactions are not offered: the gateway stores nothing")
        topic = meaning_of(needed(headers, "destination"))[0]
        # A receipt says that the broker has it.
        qos = 1 if "receipt" in headers else 0
        return commands.Publish(topic, frame.body, self._remember(headers), qos, headers.get("retain") == "true")

    def _acknowledge(self, headers: dict[str, str]) -> list[Spoken]:
        self._subscriptions.acknowledge(needed(headers, "id" if self._version == "1.2" else "message-id"))
        return self._receipt(headers)

    def _receipt(self, headers: dict[str, str]) -> list[Spoken]:
        receipt = headers.get("receipt")
        return [] if receipt is None else [self._encode("RECEIPT", {"receipt-id": receipt})]

    def _remember(self, headers: dict[str, str]) -> str:
        """A command's id, under which its receipt is kept until it is answered."""
        self._number += 1
        id = str(self._number)
        if "receipt" in headers:
            self._receipts[id] = headers["receipt"]
        return id

    # Events to bytes.

    def event(self, event: events.Event) -> bytes:
        if isinstance(event, events.Welcome):
            self._welcome = event
            return b""
        if isinstance(event, events.Ok):
            if event.id == SIGN_IN:
                return self._accepted()
            receipt = self._receipts.pop(str(event.id), None)
            return b"" if receipt is None else self._encode("RECEIPT", {"receipt-id": receipt})
        if isinstance(event, events.Error):
            return self._error(event)
        if isinstance(event, events.AuthRequired | events.Pong) or not self._connected:
            return b""
        if isinstance(event, events.Replayed):
            # The client knows its subscription by the id that it gave it.
            event = msgspec.structs.replace(event, id=self._replays.pop(str(event.id), None))
        return self._listened(event)

    def _error(self, event: events.Error) -> bytes:
        if event.id == SIGN_IN and event.code == "unsupported" and self._welcome is not None:
            return self._accepted()  # no token is asked for here: everybody may come in
        # "ERROR": the connection ends behind it.
        self.ended = CloseConnection(_CODES.get(event.code, 1008), event.message)
        return self._refusal(event.code, event.message, self._receipts.pop(str(event.id), None))

    def _refusal(self, code: str, why: str, receipt: str | None = None) -> bytes:
        headers = {"message": shorten(why, 200), "code": code, "content-type": "text/plain"}
        if receipt is not None:
            headers["receipt-id"] = receipt
        return self._encode("ERROR", headers, why.encode())

    def _listened(self, event: events.Event) -> bytes:
        """What no MESSAGE of a topic can say, for whoever subscribed to that."""
        body = _json(event)
        frames = b""
        for id in self._subscriptions.listeners:
            self._told += 1
            headers = {
                "subscription": id,
                "message-id": f"event-{self._told}",
                "destination": EVENTS,
                "content-type": "application/json",
            }
            frames += self._encode("MESSAGE", headers, body)
        return frames

    def _encode(self, command: str, headers: dict[str, str], body: bytes = b"") -> bytes:
        return encode(command, headers, body, self._version)

    def farewell(self, end: CloseConnection) -> bytes:
        code = ERROR_OF_CLOSE.get(end.code)
        if code is None or self.ended is not None or not self._connected:
            return b""
        return self._refusal(code, end.reason)

    def variant(self, table: tuple[Subscription, ...]) -> StompVariant:
        own = self._subscriptions.rows
        rows = tuple(own[s.copy] for s in table if s.copy in own)
        epoch = self._welcome.epoch if self._welcome is not None else ""
        return StompVariant(self._version, epoch, rows, self._show_upstream)

    def beat(self, now: float) -> bytes:
        if self._heard or self._heard_at is None:
            self._heard, self._heard_at = False, now
        silent = now - self._heard_at
        if not self._connected:
            if silent > CONNECT_DEADLINE:
                raise CloseConnection(PROTOCOL_ERROR.code, "no CONNECT in time")
            return b""
        # "Heart-beating": with a margin, since both clocks and the way between have their own pace.
        if self._expects and silent > 2 * self._expects:
            raise CloseConnection(NO_PONG.code, "no heart-beat in time")
        if self._sends and now - self._sent_at > self._sends - 2.0:
            self._sent_at = now
            return framing.text(b"\n")
        return b""
