"""What the gateway has taken of what it may take: the history, and its memory part by part."""

from typing import Any

from gateway.lifecycle.figures import resident
from gateway.lifecycle.house import House
from gateway.memory import BASE, PER_CONNECTION


def history_of(house: House) -> dict[str, Any]:
    """How much is stored, in bytes and messages, and for how many seconds it may be.

    `disk` and its bounds where there is one; of a `stream` that gateways share only the bounds, since its size is not
    this gateway's.
    """
    log: Any = house.server.room.log
    settings, ring = house.config.history, log.ring
    told = {
        "memory": ring.size,
        "memory_limit": int(ring.limit),
        "messages": ring.newest - ring.oldest + 1,
        "age": ring.age,
    }
    if hasattr(log, "file_size"):  # one that is kept on disk; its class is not loaded for the sake of asking
        told |= {
            "disk": log.file_size,
            "disk_limit": settings.disk_limit,
            "disk_age": settings.disk_age,
            "degraded": log.degraded,
        }
    if settings.log == "jetstream":
        stream = settings.jetstream
        told["stream"] = {"name": stream.stream, "limit": stream.max_bytes, "age": stream.max_age}
    return told


def memory_of(house: House) -> dict[str, Any]:
    """What is in RAM against the budget, and each part against its share; bytes. `source`: where the budget is from.

    What is reckoned and not measured (base, connections, kernel) is reckoned as the plan does.
    """
    server, plan = house.server, house.plan
    hub, budget = server.room.hub, server.budget
    log: Any = server.room.log
    parts = {
        "base": (BASE, BASE),
        "history": (log.ring.size, plan.history),
        "last_values": (hub.values.memory, plan.last_values),
        "outboxes": (budget.size, plan.outboxes),
        "kernel": (budget.kernel_size, plan.kernel),
        "connections": (len(server.connections) * PER_CONNECTION, plan.connections * PER_CONNECTION),
    }
    return {
        "resident": resident(),
        "budget": plan.budget,
        "source": plan.source,
        "parts": {name: {"used": used, "limit": limit} for name, (used, limit) in parts.items()},
    }
