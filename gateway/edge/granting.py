"""A subscribe as a role sees it: filter by filter what is granted, and why the rest is not. Pure."""

from typing import NamedTuple

from gateway.edge.commands import Subscribe
from gateway.edge.roles import Grant, Role, grant
from gateway.hub.subscription import Subscription, shared
from gateway.topics import shorten


class Request(NamedTuple):
    """`results` are for the answer, filter by filter; `granted` is to be carried out; `refused` is the last refusal."""

    results: list[dict[str, object]]
    granted: list[Subscription]
    refused: Grant | None

    @property
    def refused_filters(self) -> list[str]:
        """The filters that are not granted."""
        return [str(result["filter"]) for result in self.results if not result["granted"]]


def request_of(command: Subscribe, role: Role) -> Request:
    """What `role` grants of `command`; a filter that is named twice counts once."""
    results: list[dict[str, object]] = []
    granted: list[Subscription] = []
    refused, latest = None, command.mode == "latest"
    for filter in dict.fromkeys(command.topics):
        verdict = grant(role, filter)
        results.append({"filter": shorten(filter, 300), "granted": verdict.granted, "reason": verdict.reason})
        if verdict.granted:
            granted.append(shared(filter, latest, command.interval, command.readings, command.data, command.copy))
        else:
            refused = verdict
    return Request(results, granted, refused)
