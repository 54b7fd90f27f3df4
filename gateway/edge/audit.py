"""The audit: who did what from where, with what result. One line each, never held back, with no credential in it."""

import json
import logging
import re

log = logging.getLogger("gateway.audit")
# Whatever [log] level says: whoever reads an audit wants all of it.
log.setLevel(logging.INFO)

_PLAIN = re.compile(r"[A-Za-z0-9._:@/+#%$*,=~\[\]-]+")
_LIMIT = 200


def audit(action: str, result: str, **facts: object) -> None:
    """Write one line: `action=… result=… address=… session=… user=…`; facts that are None or empty are left out."""
    fields = {"action": action, "result": result, **facts}
    said = " ".join(f"{name}={_value(value)}" for name, value in fields.items() if value not in (None, ""))
    # The fields beside the sentence: a log of key=value shows them as such, the journal and JSON as fields.
    log.info("audit %s", said, extra={"brief": "audit", "fields": fields})


def _value(value: object) -> str:
    text = str(value)
    if len(text) > _LIMIT:
        text = text[: _LIMIT - 1] + "…"
    # Escaped as JSON in ASCII: no line break, no terminal control, no text that runs the other way.
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
