"""What a client sends to the broker: may it, and what became of it. Pure."""

from typing import Protocol

from gateway.edge import events
from gateway.edge.commands import Publish
from gateway.edge.roles import Role, may_publish
from gateway.errors import CommandError
from gateway.hub.ports import UpstreamSender
from gateway.topics import shorten, validate_topic


class Client(Protocol):
    """Who publishes."""

    def say(self, event: events.Event) -> None:
        """Tell the client; nothing happens where it is gone."""

    def audit(self, action: str, result: str, **facts: object) -> None:
        """Write down what the client did."""


def publish(command: Publish, role: Role, sender: UpstreamSender | None, client: Client) -> None:
    """Hand a message to the broker; the answer comes once the broker has it. Raises CommandError where it may not."""
    fault = fault_of(command, role)
    if fault is None and sender is None:
        fault = CommandError("unsupported", "this gateway publishes nothing", command.id)
    if fault is not None:
        client.audit("publish", "refused", topic=command.topic, reason=fault.text)
        raise fault
    assert sender is not None

    def done(failure: CommandError | None) -> None:
        if failure is None:
            client.audit("publish", "ok", topic=command.topic)
            client.say(events.Ok(id=command.id, published=command.topic))
        else:
            client.audit("publish", "failed", topic=command.topic, reason=str(failure))
            client.say(events.Error(id=command.id, code=failure.code, message=failure.text))

    sender.publish(command.topic, command.payload, qos=command.qos, retain=command.retain, done=done)


def fault_of(command: Publish, role: Role) -> CommandError | None:
    """Why `role` may not send this message, None where it may."""
    try:
        validate_topic(command.topic)
    except ValueError as error:
        return CommandError("bad-filter", str(error), command.id)
    if command.topic.startswith("$"):
        return CommandError("forbidden", "topics that begin with $ are the broker's own", command.id)
    if not may_publish(role, command.topic):
        return CommandError("forbidden", f'role "{role.name}" may not publish to {shorten(command.topic)}', command.id)
    if command.retain and not role.retain:
        return CommandError("forbidden", f'role "{role.name}" may not publish retained messages', command.id)
    return None
