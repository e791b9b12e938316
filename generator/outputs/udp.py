"""One line per datagram. Source: RFC 5426."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from generator.outputs.output import Tally

__all__ = ["UdpOutput"]

_SEND_BUFFER_BYTES = 4 << 20  # asked for; the kernel gives what net.core.wmem_max allows


class UdpOutput:
    """Sends datagrams to one address. Nobody answers, so ``sent`` says that the kernel took them.

    Args:
        host: a name or address.
        port: of the receiver.

    Raises:
        OSError: the name is not known.
    """

    def __init__(self, host: str, port: int) -> None:
        self.name = f"udp {host}:{port}"
        self.tally = Tally()
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        # Connected, so that the kernel tells when nothing listens there.
        self._socket.connect(address)

    def write(self, lines: Sequence[str]) -> None:
        """Send each line; wait while the kernel has no room."""
        send = self._socket.send
        for line in lines:
            data = line.encode()
            try:
                send(data)
                self.tally.sent += 1
            except ConnectionRefusedError:
                self._retry(data)
            except OSError:  # longer than a datagram may be, or no way there
                self.tally.failed += 1

    def _retry(self, data: bytes) -> None:
        """Send again what was not sent because the kernel used the call to say that an earlier datagram was refused."""
        if self.tally.sent:
            self.tally.sent -= 1
            self.tally.failed += 1
        self.tally.retried += 1
        try:
            self._socket.send(data)
            self.tally.sent += 1
        except OSError:
            self.tally.failed += 1

    def poll(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Close the socket; what the kernel took goes out."""
        self._socket.close()
