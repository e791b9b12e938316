"""The configuration of an input → the input, with its gatherer behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from logstreamd.config import FileInput as FileInputConfig
from logstreamd.config import TcpInput as TcpInputConfig
from logstreamd.config import UdpInput as UdpInputConfig
from logstreamd.config import UnixInput as UnixInputConfig
from logstreamd.config import WriterConfig
from logstreamd.config.inputs import StreamSection
from logstreamd.config.inputs import TlsInput as TlsInputConfig
from logstreamd.inputs.admission import Admission, admission_settings
from logstreamd.inputs.connection import StreamLimits
from logstreamd.inputs.files import FileInput, build_file_input
from logstreamd.inputs.gather import Gatherer
from logstreamd.inputs.tcp import TcpInput
from logstreamd.inputs.tls import TlsInput
from logstreamd.inputs.udp import UdpInput
from logstreamd.inputs.unix import UnixInput
from logstreamd.metrics import Metrics
from logstreamd.spool import Spool
from logstreamd.tls import ServerTls
from logstreamd.wire.policy import Policy

__all__ = ["InputConfig", "ReceivingInput", "apply_config", "build_input"]

InputConfig: TypeAlias = UdpInputConfig | TcpInputConfig | TlsInputConfig | UnixInputConfig | FileInputConfig
ReceivingInput: TypeAlias = UdpInput | TcpInput | TlsInput | UnixInput | FileInput


def build_input(
    config: InputConfig,
    writer: WriterConfig,
    spool: Spool,
    metrics: Metrics,
    *,
    policy: Policy,
    tls: Mapping[str, ServerTls],
) -> ReceivingInput:
    """Build an input that does nothing yet.

    Args:
        config: of the input.
        writer: how batches are gathered.
        spool: where they go.
        metrics: counted by the input.
        policy: how its messages are read.
        tls: what listeners with TLS need, by the input's name.
    """
    gatherer = Gatherer(
        config.name,
        spool.append,
        metrics,
        max_rows=writer.batch_max_rows,
        max_bytes=writer.batch_max_bytes,
        max_age_seconds=writer.batch_max_age_seconds,
        drop_when_full=isinstance(config, UdpInputConfig),
    )
    match config:
        case UdpInputConfig():
            return _build_udp_input(config, gatherer, metrics)
        case TcpInputConfig():
            return _build_tcp_input(config, gatherer, metrics)
        case TlsInputConfig():
            return _build_tls_input(config, gatherer, metrics, tls[config.name])
        case UnixInputConfig():
            return _build_unix_input(config, gatherer, metrics)
        case FileInputConfig():
            return _build_file_input(config, gatherer, spool, metrics, policy)


def apply_config(one: ReceivingInput, config: InputConfig, *, policy: Policy, tls: Mapping[str, ServerTls]) -> None:
    """Give an open input other settings than it was built with, as far as it can change them while it is open.

    Args:
        one: the input.
        config: of the same type, name and address as before; of type ``file`` with the same settings.
        policy: as for :func:`build_input`.
        tls: the same.
    """
    match one, config:
        case UdpInput(), UdpInputConfig():
            one.admission.apply(**admission_settings(config))
            one.apply(**_udp_settings(config))
        case TcpInput(), TcpInputConfig():
            one.admission.apply(**admission_settings(config))
            one.apply(_stream_limits(config))
        case TlsInput(), TlsInputConfig():
            one.admission.apply(**admission_settings(config))
            one.apply(_stream_limits(config))
            one.apply_tls(tls[config.name], **_handshake_settings(config))
        case UnixInput(), UnixInputConfig():
            one.admission.apply(**admission_settings(config))
            one.apply(**_unix_settings(config))
        case FileInput(), FileInputConfig():
            one.apply(policy)


def _build_udp_input(config: UdpInputConfig, gatherer: Gatherer, metrics: Metrics) -> UdpInput:
    return UdpInput(
        gatherer,
        metrics,
        Admission(config.name, metrics, **admission_settings(config)),
        host=config.listen.host,
        port=config.listen.port,
        **_udp_settings(config),
    )


def _udp_settings(config: UdpInputConfig) -> dict[str, int]:
    """Return what may change while it is open."""
    return {"max_frame_bytes": config.max_frame_bytes, "receive_buffer_bytes": config.receive_buffer_bytes}


def _build_tls_input(config: TlsInputConfig, gatherer: Gatherer, metrics: Metrics, tls: ServerTls) -> TlsInput:
    return TlsInput(
        gatherer,
        metrics,
        Admission(config.name, metrics, **admission_settings(config)),
        host=config.listen.host,
        port=config.listen.port,
        limits=_stream_limits(config),
        tls=tls,
        **_handshake_settings(config),
    )


def _handshake_settings(config: TlsInputConfig) -> dict[str, Any]:
    """Return what may change while it is open."""
    return {
        "handshake_timeout_seconds": config.tls.handshake_timeout_seconds,
        "max_handshakes": config.tls.max_handshakes,
    }


def _build_unix_input(config: UnixInputConfig, gatherer: Gatherer, metrics: Metrics) -> UnixInput:
    return UnixInput(
        gatherer,
        Admission(config.name, metrics, **admission_settings(config)),
        path=config.listen.path,
        **_unix_settings(config),
    )


def _unix_settings(config: UnixInputConfig) -> dict[str, int]:
    """Return what may change while it is open."""
    return {"mode": int(config.mode, base=8), "max_frame_bytes": config.max_frame_bytes}


def _build_tcp_input(config: TcpInputConfig, gatherer: Gatherer, metrics: Metrics) -> TcpInput:
    return TcpInput(
        gatherer,
        metrics,
        Admission(config.name, metrics, **admission_settings(config)),
        host=config.listen.host,
        port=config.listen.port,
        limits=_stream_limits(config),
    )


def _stream_limits(config: StreamSection) -> StreamLimits:
    return StreamLimits(
        max_frame_bytes=config.max_frame_bytes,
        max_connections=config.max_connections,
        max_connections_per_peer=config.max_connections_per_peer,
        idle_timeout_seconds=config.idle_timeout_seconds,
        frame_deadline_seconds=config.frame_deadline_seconds,
    )


def _build_file_input(
    config: FileInputConfig, gatherer: Gatherer, spool: Spool, metrics: Metrics, policy: Policy
) -> FileInput:
    mirror = config.mirror
    return build_file_input(
        gatherer,
        metrics,
        policy=policy,
        positions=spool.positions(config.name),
        note=spool.note_positions,
        forget=spool.forget_positions,
        patterns=config.paths,
        max_frame_bytes=config.max_frame_bytes,
        max_record_lines=config.join_max_lines if config.join_stack_traces else 1,
        join_timeout_seconds=config.join_timeout_seconds,
        max_open_files=config.max_open_files,
        poll_interval_seconds=config.poll_interval_seconds,
        mirror=None if mirror is None else (mirror.directory, mirror.max_bytes, mirror.files),
    )
