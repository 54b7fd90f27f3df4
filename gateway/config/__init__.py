"""The configuration: TOML files in, frozen typed structs out, all mistakes at once.

`model.py` holds every key; `load` is the way in. Pure but for the files it is told to read and the machine's name.
"""

from gateway.config.access import anonymous_role, first_word
from gateway.config.load import DEFAULT_PATH, load
from gateway.config.model import (
    Auth,
    Backoff,
    Backpressure,
    Config,
    Gateway,
    Heartbeat,
    History,
    JetStream,
    Limits,
    Listen,
    ListenTls,
    Log,
    Origins,
    Role,
    Upstream,
    UpstreamTls,
    UpstreamTopic,
)
from gateway.config.problems import ConfigError, Problem

__all__ = [
    "DEFAULT_PATH",
    "Auth",
    "Backoff",
    "Backpressure",
    "Config",
    "ConfigError",
    "Gateway",
    "Heartbeat",
    "History",
    "JetStream",
    "Limits",
    "Listen",
    "ListenTls",
    "Log",
    "Origins",
    "Problem",
    "Role",
    "Upstream",
    "UpstreamTls",
    "UpstreamTopic",
    "anonymous_role",
    "first_word",
    "load",
]
