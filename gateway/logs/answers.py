"""What JetStream's API answers: what was asked for, a refusal, or that nobody could answer. Pure."""

import json
from typing import Any

from gateway.errors import GatewayError

NOT_FOUND = 404


class Unanswered(GatewayError):
    """NATS did not answer, or nobody in it could: no connection, no leader at this moment. Worth another try."""


class Refusal(GatewayError):
    """JetStream answered no. `code` is its HTTP-like code, `number` its own (`err_code`)."""

    def __init__(self, text: str, code: int, number: int) -> None:
        super().__init__(text)
        self.code = code
        self.number = number


def answer_of(data: bytes) -> Any:
    """What JetStream answered. Raises Unanswered, Refusal."""
    try:
        answer = json.loads(data)
    except ValueError:
        raise Unanswered("an answer that cannot be read") from None
    failure = answer.get("error")
    if failure:
        text, code, number = failure.get("description", "no reason"), failure.get("code", 0), failure.get("err_code", 0)
        if code in (408, 503):  # no quorum, no leader: another may be elected in a moment
            raise Unanswered(f"JetStream: {text}")
        raise Refusal(text, code, number)
    return answer
