"""What arrives at sockets, from whom, and how connections end."""

from __future__ import annotations

from logstreamd.metrics.declaring import Declaring

__all__ = ["ListeningMetrics"]


class ListeningMetrics(Declaring):
    """What arrives at sockets, from whom, and how connections end."""

    def _declare_inputs(self) -> None:
        self.received_bytes = self._counter("received_bytes", "Bytes of the messages received.", "input")
        self.truncated_frames = self._counter(
            "truncated_frames", "Messages cut at max_frame_bytes and stored with a mark.", "input"
        )
        self.partial_frames = self._counter(
            "partial_frames", "Messages whose connection ended inside them, stored with a mark.", "input"
        )
        self.kernel_dropped_datagrams = self._counter(
            "kernel_dropped_datagrams",
            "Datagrams the kernel threw away because the receive buffer was full. Raise receive_buffer_bytes.",
            "input",
        )
        self.receive_buffer_bytes = self._gauge(
            "receive_buffer_bytes", "Receive buffer the kernel granted to a datagram socket.", "input"
        )
        self.connections = self._gauge("connections", "Open connections.", "input")
        self.accepted_connections = self._counter("accepted_connections", "Connections accepted.", "input")
        self.rejected_connections = self._counter(
            "rejected_connections",
            "Connections refused because max_connections or max_connections_per_peer was reached.",
            "input",
        )
        self.denied_connections = self._counter(
            "denied_connections", "Connections and requests from addresses that allow does not name.", "input"
        )
        self.slowed_seconds = self._counter(
            "slowed_seconds",
            "Seconds that streams were not read and requests were told to wait, over all of those above their limit.",
            "input",
        )
        self.closed_connections = self._counter("closed_connections", "Connections ended.", "input", "reason")
        self.tls_failures = self._counter(
            "tls_failures",
            "TLS connections that came to nothing. The log says whose; docs/tls.md says what to do.",
            "input",
            "reason",
        )
        self.tls_handshakes = self._gauge("tls_handshakes", "TLS handshakes that are going on.", "input")
        self.tls_certificate_expiry = self._gauge(
            "tls_certificate_expiry_timestamp_seconds",
            "When the certificate that an input shows expires. Put a new one in its place and reload.",
            "input",
        )
        self.paused = self._gauge(
            "input_paused", "1 while an input does not read because what it has is not in the spool yet.", "input"
        )
