"""What a link counts."""


class Counters:
    """Plain numbers of one link, read by the metrics; all since the start of the process."""

    __slots__ = (
        "bytes",
        "canaries_missed",
        "excluded",
        "failures",
        "gaps",
        "malformed",
        "messages",
        "oversize",
        "publish_failures",
        "published",
        "reconnects",
        "repeated",
        "takeovers",
        "turns",
    )

    def __init__(self) -> None:
        self.bytes = 0  # received, as they came off the socket
        self.turns = 0  # of the loop that received something
        self.messages = 0  # handed to the publisher
        self.malformed = 0  # messages dropped: their topic is no valid topic
        self.excluded = 0  # messages dropped: the configuration excludes their topic
        self.oversize = 0  # messages handed on without their payload
        self.repeated = 0  # messages redelivered by the broker and known
        self.reconnects = 0  # connections after the first
        self.failures = 0  # tries that led to no connection
        self.takeovers = 0  # connections lost to another client with our id
        self.gaps = 0  # reconnects after which messages may be missing
        self.canaries_missed = 0
        self.published = 0  # messages that the broker has from us
        self.publish_failures = 0
