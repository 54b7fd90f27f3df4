"""The audit: who did what from where, with what result. One line each, with no credential in it.

What the same one does over and over is counted: reads and guesses here, everything else by whoever writes the log.
"""

import json
import logging
import re
from collections import OrderedDict

log = logging.getLogger("gateway.audit")
# Whatever [log] level says: whoever reads an audit wants all of it.
log.setLevel(logging.INFO)

_PLAIN = re.compile(r"[A-Za-z0-9._:@/+#%$*,=~\[\]-]+")
_LIMIT = 200

_MOST = 1000
KNOWN = 100
"""Lines a minute of one action and result for each user and address: what a burst of commands comes to."""
STRANGERS = 20
"""The same for all together who have not signed in: an address of its own for each line costs them nothing."""


class Seldom:
    """Of lines that would be the same over and over, which are due: Prometheus reads its figures every few seconds.

    What is counted is bounded: beyond 1,000 different ones the oldest is forgotten, and said again.
    """

    def __init__(self) -> None:
        self._said: OrderedDict[tuple[str, ...], tuple[float, int]] = OrderedDict()

    def due(self, key: tuple[str, ...], now: float, period: float) -> int:
        """How often it has happened since it was last said, this time included; 0 where that is under `period` ago."""
        at, times = self._said.get(key, (now - period, 0))
        if now - at < period:
            self._said[key] = at, times + 1
            return 0
        self._said[key] = now, 0
        self._said.move_to_end(key)
        if len(self._said) > _MOST:
            self._said.popitem(last=False)
        return times + 1


def audit(action: str, result: str, **facts: object) -> None:
    """Write one line: `action=… result=… address=… session=… user=…`; facts that are None or empty are left out."""
    fields = {"action": action, "result": result, **facts}
    said = " ".join(f"{name}={_value(value)}" for name, value in fields.items() if value not in (None, ""))
    user = facts.get("user")
    who = f" {user} {facts.get('address')}" if user else ""
    counted = {"subject": f"{action} {result}{who}", "burst": KNOWN if user else STRANGERS}
    # The fields beside the sentence: a log of key=value shows them as such, the journal and JSON as fields.
    log.info("audit %s", said, extra={"brief": "audit", "fields": fields, **counted})


def _value(value: object) -> str:
    text = str(value)
    if len(text) > _LIMIT:
        text = text[: _LIMIT - 1] + "…"
    # Escaped as JSON in ASCII: no line break, no terminal control, no text that runs the other way.
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
