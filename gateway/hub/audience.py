"""An audience: clients for whom every message becomes the same bytes."""

from collections import deque
from collections.abc import Callable

from gateway.hub.batch import Batch
from gateway.hub.handing import DIRECT, STRIDE, Pass, hand
from gateway.hub.message import Message
from gateway.hub.pace import Debtor, Pacer, Room
from gateway.hub.row import Only, Row, Send, Turnover, Viewer, held
from gateway.hub.subscription import AudienceKey, Variant, View
from gateway.hub.volley import NOWHERE, Volley
from gateway.hub.wheel import Wheel


class Audience:
    """Members, the frames of the open turn, and passes that have not reached every member yet."""

    __slots__ = (
        "_latest",
        "_members",
        "_only",
        "_passes",
        "_resolved",
        "_row",
        "_touch",
        "_turnover",
        "delivered",
        "dirty",
        "frames",
        "full",
        "group",
        "kept",
        "key",
        "lone",
        "messages",
        "pacer",
        "plain",
        "send",
        "sent_at",
        "slot",
        "variant",
        "volley",
    )

    def __init__(
        self,
        key: AudienceKey,
        kept: Callable[[str], bool] | None = None,
        *,
        wheel: Wheel | None = None,
        period: float = 20.0,
        touch: Callable[["Audience"], None] | None = None,
        room: Room | None = None,
        turnover: Turnover | None = None,
        volley: Volley | None = None,
    ) -> None:
        self.key = key
        self.variant: Variant = key.variant  # type: ignore[assignment]
        self.frames: list[bytes] = []
        self.messages: list[Message] = []
        self.dirty = False
        self.full = 0  # bytes of what went to a viewer whose socket is full
        self.delivered = 0
        self.sent_at = 0.0
        self.kept = kept
        self.volley = volley
        self._members: dict[Viewer, int] = {}
        self._row: Row | None = Row(())
        self.lone: Viewer | None = None  # its only member
        self.send: Send = held  # the lone member's own, while nothing waits for it
        self.slot = NOWHERE  # likewise
        self._only: Only | None = None
        self._turnover = turnover or Turnover()
        self._passes: deque[Pass] = deque()
        self._resolved: dict[str, bool] = {}
        views = {(subscription.readings, subscription.data) for subscription in key.table}
        # Hardly anybody mixes: without this, a first message would be held against every filter of every audience.
        self.group = (self.variant, View(*views.pop())) if len(views) == 1 else None
        self._latest = any(subscription.latest for subscription in key.table)
        self.pacer: Pacer | None = None
        if wheel is not None and touch is not None and any(subscription.interval for subscription in key.table):
            members: dict[Debtor, int] = self._members  # type: ignore[assignment]
            self.pacer = Pacer(members, wheel=wheel, period=period, out=self._out, room=room)
            self._touch = touch
        # Neither denies nor intervals, and all shown alike: its place in a route is found by its group alone.
        self.plain = self.group is not None and not key.denies and self.pacer is None

    def __len__(self) -> int:
        return len(self._members)

    @property
    def members(self) -> list[Viewer]:
        """Its members."""
        return list(self._members)

    def mergeable(self, topic: str) -> bool:
        """Whether its members asked for the newest value of `topic` only."""
        verdict = self._resolved.get(topic)
        if verdict is None:
            if len(self._resolved) > 4096:
                self._resolved.clear()
            verdict = self._resolved[topic] = self.key.latest(topic)
        return verdict

    def floor(self, viewer: Viewer) -> int | None:
        """The lowest offset that is held for `viewer`, or was merged and not named yet; None where nothing is."""
        if self.pacer is None:
            return None
        since = self._members[viewer]
        offsets = [m.offset for m in self.messages if m.offset > since]
        offsets += [m.offset for under_way in self._passes for m in under_way.messages if m.offset > since]
        held = self.pacer.floor(viewer)
        if held is not None:
            offsets.append(held)
        return min(offsets, default=None)

    def join(self, viewer: Viewer, newest: int = 0) -> None:
        """Let `viewer` have what is published from now on, after the offset `newest`."""
        self._close()
        self._members[viewer] = newest
        self._changed()
        if self.pacer is not None:
            self.pacer.joined(viewer)

    def leave(self, viewer: Viewer, *, gone: bool) -> None:
        """Let `viewer` go; unless it is gone altogether, what is under way for it goes into its outbox now."""
        if viewer not in self._members:
            return
        self._close()
        since = self._members.pop(viewer)
        self._changed()
        for under_way in self._passes:
            if under_way.leave(viewer) and not gone:
                viewer.push(under_way.whole(self))
        if self.pacer is None:
            return
        if gone:
            self.pacer.gone(viewer)
        elif held := self.pacer.left(viewer, since):
            # It goes on in another audience, which knows nothing of what was held here.
            viewer.push(self.batch([pace.encode(m) for pace, m in held], [m for _, m in held], None))

    def flush(self, clock: Callable[[], float], now: float, deadline: float) -> bool:
        """Give every member what was published; False where the time slice ended before all had it."""
        passes = self._passes
        frames = self.frames
        if len(frames) == 1 and self.lone is not None and not passes:
            # One frame for one viewer: what most turns are where everybody has chosen otherwise.
            frame, message = frames[0], self.messages[0]
            frames.clear()
            self.messages.clear()
            self.serve(self.lone, frame, message, now)
            return True
        row = self._row
        if not passes and row is not None and len(row.viewers) <= STRIDE:
            # The common case of few members: nothing to be cut into slices, nothing to be kept.
            messages = self.messages
            self.frames, self.messages = [], []
            blob = frames[0] if len(frames) == 1 else b"".join(frames)
            hand(self, row, 0, len(row.viewers), blob, frames, messages, None)
            self.delivered += len(messages) * len(row.viewers)
            self.sent_at = now
            return True
        self._close()
        while passes:
            under_way = passes[0]
            if not under_way.run(self, clock, deadline):
                return False
            passes.popleft()
            self.delivered += len(under_way.messages) * len(under_way.row.viewers)
        self.sent_at = now
        return True

    def serve(self, viewer: Viewer, frame: bytes, message: Message, now: float) -> None:
        """Give the one frame of a turn to the only member."""
        self.delivered += 1
        self.sent_at = now
        taken = -1
        error: OSError | None = None
        if len(frame) <= DIRECT:
            # Not a method call: the look-up of a slot is quick only where it stands alone (CPython 3.11).
            send = self.send
            try:
                taken = send(frame)
            except OSError as caught:
                error = caught
            else:
                if taken == len(frame):
                    return
        self.behind(viewer, self.batch([frame], [message], frame), taken, error)

    def behind(self, viewer: Viewer, batch: Batch, taken: int, error: OSError | None) -> None:
        """`viewer` did not take the whole `batch`: only `taken` bytes (-1: nothing was offered), or `send` raised."""
        if error is not None:
            viewer.failed(batch, error)
        elif taken < 0:
            viewer.push(batch)
        else:
            viewer.short(batch, taken)
        if viewer.queued and self.full < len(batch.blob):
            self.full = len(batch.blob)

    def batch(self, frames: list[bytes], messages: list[Message], blob: bytes | None) -> Batch:
        """What waits for whoever is behind."""
        return Batch(frames, messages, blob=blob, mergeable=self.mergeable if self._latest else None, kept=self.kept)

    def _changed(self) -> None:
        """Other members than before."""
        if self._only is not None:
            self._only[0] = held
            self._only.stage = None
            self._only = None
        self._row = self.lone = None
        if len(self._members) == 1:
            # No row under way reckons with it keeping its place there: each who left has taken theirs along.
            [self.lone] = self._members
            self._only = Only(self, self._turnover)
            self.lone.stand(self._only, 0)

    def _close(self) -> None:
        """End the open turn: what it holds goes to those who are members now."""
        if not self.frames:
            return
        frames, messages = self.frames, self.messages
        self.frames, self.messages = [], []
        row = self._row
        if row is None:
            row = self._row = Row(self._members)
            if self.lone is None:
                for under_way in self._passes:
                    under_way.row.sends = None
                row.align()
        if row.viewers:
            self._passes.append(Pass(frames, messages, row))

    def _out(self, frame: bytes, message: Message, viewers: list[Debtor] | None) -> None:
        """An interval lets `message` go, to all members or to those in `viewers`."""
        if viewers is None:
            self.frames.append(frame)
            self.messages.append(message)
        else:
            self._close()
            self._passes.append(Pass([frame], [message], Row(viewers)))  # type: ignore[arg-type]
        self._touch(self)
