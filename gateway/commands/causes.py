"""Why a connection failed, in words for people: asyncio and ssl put details of their own in the place of the reason."""

import errno
import os
import re
import socket
import ssl
from pathlib import Path

_NUMBER = re.compile(r"\[Errno (\d+)\]")


def cause(error: Exception) -> str:
    """The reason, to go on in the middle of a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return "it does not speak TLS" if error.reason == "WRONG_VERSION_NUMBER" else f"TLS failed: {error.reason}"
    if isinstance(error, socket.gaierror):
        return f"name not resolved: {error.strerror}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    # asyncio: `Connect call failed (…)`, and for a name with several addresses all of them in one text.
    number = getattr(error, "errno", None)
    numbers = [int(number)] if number else [int(found) for found in _NUMBER.findall(str(error))]
    if numbers:
        return ", ".join(dict.fromkeys(_lower(os.strerror(each)) for each in numbers))
    return str(error) or type(error).__name__


def denied(error: OSError, path: Path) -> str:
    """What went wrong with which file (`path` where the error names none), and whether root may be what it takes."""
    text = f"{error.filename or path}: {error.strerror or error}"
    return f"{text}: are you root?" if error.errno in (errno.EACCES, errno.EPERM) and os.geteuid() else text


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
