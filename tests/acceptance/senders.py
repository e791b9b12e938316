"""The programs that send: util-linux' ``logger``, ``rsyslogd``, and plain sockets."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["Address", "forward_file", "logger", "numbered_lines", "program", "send_stream"]

Address = tuple[str, int]

_PIECE_BYTES = 64 * 1024

# The lines of a file, each forwarded as one message. Disk-free, and nothing is thrown away: the queue is as large as
# the file is long, imfile waits when it is full, and the forwarder tries for ever.
_FORWARD = """
global(workDirectory="{directory}" localHostname="relay.example" maxMessageSize="8k" {certificates})
module(load="imfile")
input(type="imfile" file="{file}" tag="{tag}:" facility="local3" severity="warning" ruleset="forward")
template(name="legacy" type="string" string="<%PRI%>%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg%")
ruleset(name="forward") {{
    action(type="omfwd" target="{host}" port="{port}" protocol="{protocol}" {framing}
           template="{template}" action.resumeRetryCount="-1" action.resumeInterval="1"
           queue.type="FixedArray" queue.size="100000" queue.dequeueBatchSize="1000" queue.timeoutEnqueue="60000")
}}
"""


def program(name: str, package: str) -> str:
    """Return the path of a program; skip the test where it is not installed."""
    path = shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
    if path is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install {package})")
    return path


def logger(to: Address, *options: str) -> None:
    """Send with ``logger``."""
    host, port = to
    subprocess.run(
        [program("logger", "bsdutils"), "--server", host, "--port", str(port), *options], check=True, timeout=30
    )


@contextmanager
def forward_file(
    file: Path, to: Address, *, tag: str, protocol: str, framing: str = "", template: str, certificates: str = ""
) -> Iterator[None]:
    """Let an rsyslogd of our own forward the lines of a file while the block runs.

    Args:
        file: one message per line.
        to: where they go.
        tag: without its colon.
        protocol: ``udp`` or ``tcp``.
        framing: further parameters of the forwarding action.
        template: ``RSYSLOG_SyslogProtocol23Format`` (RFC 5424), or ``legacy`` (RFC 3164).
        certificates: further global parameters.
    """
    command = program("rsyslogd", "rsyslog")
    config = file.with_suffix(".rsyslog.conf")
    config.write_text(
        _FORWARD.format(
            directory=file.parent,
            file=file,
            tag=tag,
            host=to[0],
            port=to[1],
            protocol=protocol,
            framing=framing,
            template=template,
            certificates=certificates,
        )
    )
    pid_file = file.with_suffix(".pid")
    output = file.with_suffix(".rsyslog.out")
    with output.open("wb") as out:
        process = subprocess.Popen(
            [command, "-n", "-f", str(config), "-i", str(pid_file)], stdout=out, stderr=subprocess.STDOUT
        )
        try:
            yield
            assert process.poll() is None, output.read_text()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def numbered_lines(service: str, count: int, *, first: int = 0, padding: str = "") -> list[bytes]:
    """Return messages with their line ends that :meth:`Database.assert_each_once` can check."""
    numbers = range(first, first + count)
    return [f"<14>1 - web-1 {service} 7 - - {padding}seq={number}\n".encode() for number in numbers]


def send_stream(to: Address, messages: Iterable[bytes]) -> None:
    """Send messages, framed already, over one TCP connection and close it in order."""
    with socket.create_connection(to, timeout=60) as connection:
        waiting = bytearray()
        for message in messages:
            waiting += message
            if len(waiting) >= _PIECE_BYTES:
                connection.sendall(waiting)
                waiting.clear()
        connection.sendall(waiting)
