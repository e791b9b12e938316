"""The inputs of a daemon: opened at the start, closed at the stop, and changed in between while messages arrive.

An input that ends stops accepting and reads out what has arrived; what it gathered is brought to the spool. One that
takes over the address of another gets duplicates of its sockets, so that at no moment nobody listens.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import structlog

from logstreamd.daemon.material import Material
from logstreamd.daemon.reload import Change
from logstreamd.daemon.supervisor import Supervisor
from logstreamd.inputs.addresses import bind_sockets
from logstreamd.inputs.build import InputConfig, ReceivingInput, apply_config, build_input
from logstreamd.inputs.files import FileInput
from logstreamd.inputs.gather import Gatherer
from logstreamd.inputs.inherited import INHERITED
from logstreamd.inputs.pairing import TRANSPORTS, Pairing, pair_inputs
from logstreamd.inputs.unix_socket import open_unix, remove_if_stale
from logstreamd.metrics import Metrics
from logstreamd.spool import Spool
from logstreamd.wire.policy import Policy

__all__ = ["RunningInputs"]

_log = structlog.get_logger(__name__)
_FLUSH_SECONDS = 5.0  # for the spool to take what an input had gathered
_SOCKET_KINDS = {"datagram": socket.SOCK_DGRAM, "stream": socket.SOCK_STREAM}

Sockets = Sequence[socket.socket]


class RunningInputs:
    """Keeps the inputs that run.

    Args:
        spool: where they bring what they receive.
        metrics: counted by them.
        supervisor: watches those that read by themselves.
        policy_of: how the messages of an input are read, by its name.
        on_open: told the name of an input that begins.

    Attributes:
        inputs: those that run, in the order of the configuration.
    """

    def __init__(
        self,
        spool: Spool,
        metrics: Metrics,
        supervisor: Supervisor,
        *,
        policy_of: Callable[[str], Policy],
        on_open: Callable[[str], None],
    ) -> None:
        self.inputs: list[ReceivingInput] = []
        self._spool = spool
        self._metrics = metrics
        self._supervisor = supervisor
        self._policy_of = policy_of
        self._on_open = on_open
        self._configs: dict[ReceivingInput, InputConfig] = {}
        self._gatherers: list[Gatherer] = []

    def count_in_flight(self, name: str) -> int:
        """Frames received under a name that are not in the spool yet; also by an input that has ended."""
        return sum(one.count_in_flight() for one in self._gatherers if one.name == name)

    def room(self) -> None:
        """Have all of them try again now: the spool has room."""
        for gatherer in self._gatherers:
            gatherer.room()

    async def start(self, material: Material) -> None:
        """Open all inputs; those that are open are in ``inputs`` also when a later one can't be.

        Raises:
            OSError: an address can't be bound.
        """
        for one in material.config.inputs:
            await self._open(one, material)

    async def stop(self) -> None:
        """Close all inputs, the last one first."""
        for one in self.inputs[::-1]:
            await self._close(one)

    async def _open(self, config: InputConfig, material: Material, sockets: Sockets = ()) -> None:
        one = build_input(
            config,
            material.config.writer,
            self._spool,
            self._metrics,
            policy=self._policy_of(config.name),
            tls=material.tls,
        )
        self._gatherers.append(one.gatherer)
        self._on_open(one.name)
        if isinstance(one, FileInput):
            await one.start()
            self._supervisor.start(_task_name(one), one.run())
        else:
            await one.start(sockets)
        self._configs[one] = config
        self.inputs.append(one)
        _log.info("listening", input=one.name, type=config.type, addresses=one.endpoints)

    async def _close(self, one: ReceivingInput) -> None:
        """Close an input and bring what it gathered to the spool."""
        await one.stop()
        given_up = await one.gatherer.flush(_FLUSH_SECONDS)
        if given_up and isinstance(one, FileInput):
            _log.warning("the spool did not take what was read: the next run reads it", input=one.name, frames=given_up)
        elif given_up:
            _log.error("messages lost: the spool did not take them", input=one.name, frames=given_up)
        await self._supervisor.end(_task_name(one))
        self.inputs.remove(one)
        del self._configs[one]
        if not one.gatherer.count_in_flight():  # else the spool is still at work on its last batch
            self._gatherers.remove(one.gatherer)

    async def prepare(self, change: Change) -> None:
        """Bind what a reload opens, and plan the rest."""
        pairing = pair_inputs(list(self._configs.values()), change.new.config.inputs)
        bound: dict[str, Sockets] = {}
        for config, predecessor in pairing.opened:
            try:
                bound[config.name] = await self._bind(config, predecessor)
            except OSError as problem:
                path = ("inputs", change.new.config.inputs.index(config), "listen")
                change.refuse(path, f"{problem}{_hint(problem, config, pairing)}")
            else:
                change.at_refusal(partial(_close_all, bound[config.name]))
        change.changed += _describe(pairing)
        change.at_commit(partial(self._switch, change.new, pairing, bound))

    async def _bind(self, config: InputConfig, predecessor: InputConfig | None) -> Sockets:
        """Return the sockets of an input that is not open yet; a type that has none: nothing."""
        if config.type == "file":
            return ()
        if predecessor is not None and not isinstance(one := self._find(predecessor), FileInput):
            return [INHERITED.duplicate(sock) for sock in one.sockets]
        if config.type == "unix":
            return [open_unix(config.listen.path, int(config.mode, base=8))]
        kind = _SOCKET_KINDS[TRANSPORTS[config.type]]
        sockets = await bind_sockets(config.listen.host, config.listen.port, kind)
        if kind is socket.SOCK_STREAM:
            await _listen(sockets)
        return sockets

    def _find(self, config: InputConfig) -> ReceivingInput:
        return next(one for one, known in self._configs.items() if known is config)

    async def _switch(self, material: Material, pairing: Pairing, bound: Mapping[str, Sockets]) -> None:
        """Put a prepared change of the inputs in force."""
        for old, new in pairing.kept:
            self._apply(self._find(old), new, material)
        ending = [self._find(one) for one in pairing.closed]
        # Files first: how far they were read must be in the spool before they are opened anew.
        await self._close_together(one for one in ending if isinstance(one, FileInput))
        for one, _ in pairing.opened:
            await self._open(one, material, bound[one.name])
        await self._close_together(one for one in ending if not isinstance(one, FileInput))
        try:
            INHERITED.refuse_idle()
        except OSError as problem:  # who sends there is heard by nobody
            _log.warning("an inherited socket is left alone", problem=str(problem))
        order = {one.name: position for position, one in enumerate(material.config.inputs)}
        self.inputs.sort(key=lambda one: order[one.name])

    def _apply(self, one: ReceivingInput, config: InputConfig, material: Material) -> None:
        """Give an open input its new settings."""
        apply_config(one, config, policy=self._policy_of(config.name), tls=material.tls)
        writer = material.config.writer
        one.gatherer.apply(
            max_rows=writer.batch_max_rows,
            max_bytes=writer.batch_max_bytes,
            max_age_seconds=writer.batch_max_age_seconds,
        )
        self._configs[one] = config

    async def _close_together(self, ending: Iterable[ReceivingInput]) -> None:
        closing = list(ending)
        await asyncio.gather(*map(self._close, closing))
        for one in closing:
            _log.info("input closed", input=one.name)


def _task_name(one: ReceivingInput) -> str:
    return f"input {one.name}"


async def _listen(sockets: Sockets) -> None:
    """Begin to accept, so that what could fail of it fails now; the input says later how many may wait."""
    try:
        for sock in sockets:
            sock.listen()
    except OSError:
        await _close_all(sockets)
        raise


async def _close_all(sockets: Sockets) -> None:
    for sock in sockets:
        path = Path(sock.getsockname()) if sock.family is socket.AF_UNIX else None
        sock.close()
        if path is not None:
            remove_if_stale(path)


def _hint(problem: OSError, config: InputConfig, pairing: Pairing) -> str:
    """Say what to do when an address is taken by an input that is about to end."""
    if problem.errno == errno.EADDRINUSE:
        for one in pairing.closed:
            if _overlap(one, config):
                return f" (input '{one.name}' has it: close that one with a reload of its own)"
    return ""


def _overlap(one: InputConfig, other: InputConfig) -> bool:
    if one.type == "file" or other.type == "file":
        return False
    return TRANSPORTS[one.type] == TRANSPORTS[other.type] and one.listen.overlaps(other.listen)


def _describe(pairing: Pairing) -> list[str]:
    """Say what becomes different, in names."""
    found = [f"input '{one.name}' closed" for one in pairing.closed]
    found += [f"input '{one.name}' opened" for one, _ in pairing.opened]
    for old, new in pairing.kept:
        names = (name for name in type(new).model_fields if getattr(old, name) != getattr(new, name))
        found += [f"input '{new.name}': {name}" for name in names]
    return found
