"""Watches the files that the edge goes by: tokens, keys, certificates. What has changed counts within a second."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.edge.audit import audit
from gateway.edge.server import Server
from gateway.edge.tls import Tls, warning_due
from gateway.edge.tokens import Token
from gateway.errors import GatewayError
from gateway.pulse import until_beat

log = logging.getLogger("gateway.edge")


class Watch:
    """`run` looks at every beat of the gateway's pulse; `look` once, `reload` whether or not a file looks changed."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._said: dict[int, int] = {}
        self._tokens = self._known()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                self.look()
            except Exception:  # without the next look no token could ever be revoked again
                log.exception("a fault of ours on the look at tokens and certificates: please report it")
            await asyncio.sleep(until_beat(self._server.clock()))

    def look(self) -> None:
        """Take in what has changed. A file that cannot be used is told of, and what was before stays."""
        judge = self._server.front.credentials
        changed = False
        for source in (judge.tokens, judge.jwts):
            if source is None:
                continue
            try:
                changed |= source.refresh()
            except GatewayError as error:
                log.warning("%s; the tokens of before stay valid", error)
        if changed:
            self._tell_tokens()
            self._server.review()
        self._certificates(force=False)

    def reload(self) -> list[str]:
        """Read certificates, keys and client CAs again; what is wrong with them, one sentence each."""
        return self._certificates(force=True)

    def _certificates(self, *, force: bool) -> list[str]:
        faults = []
        for tls in self._distinct():
            try:
                if tls.refresh(force=force) and tls.facts is not None:
                    self._said.pop(id(tls), None)
                    log.info("serving a new certificate for %s, valid until %s", *_described(tls))
                    audit("reload", "ok", certificate=_described(tls)[0])
            except GatewayError as error:
                faults.append(str(error))
                log.warning("%s; the certificate of before stays in use", error)
                audit("reload", "failed", reason=error)
            self._warn(tls)
        return faults

    def _distinct(self) -> list[Tls]:
        found = {id(e.tls): e.tls for e in self._server.listeners.endpoints if e.tls is not None}
        return list(found.values())

    def _warn(self, tls: Tls) -> None:
        if tls.facts is None:
            return
        due = warning_due(tls.facts.not_after, self._server.room.wall(), self._said.get(id(tls)))
        if due is None:
            return
        self._said[id(tls)] = due
        names, until = _described(tls)
        if due:
            log.warning("the certificate for %s ends within %d days: %s", names, due, until)
        else:
            log.error("the certificate for %s has expired: %s", names, until)

    def _known(self) -> Mapping[str, Token]:
        tokens = self._server.front.credentials.tokens
        return {token.id: token for token in tokens.all()} if tokens is not None else {}

    def _tell_tokens(self) -> None:
        before, self._tokens = self._tokens, self._known()
        for id in before.keys() - self._tokens.keys():
            audit("token", "revoked", id=id, user=before[id].name, role=before[id].role)
        for id in self._tokens.keys() - before.keys():
            audit("token", "made", id=id, user=self._tokens[id].name, role=self._tokens[id].role)


def _described(tls: Tls) -> tuple[str, str]:
    assert tls.facts is not None
    until = datetime.fromtimestamp(tls.facts.not_after, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return ", ".join(tls.facts.names) or tls.facts.common_name, until
