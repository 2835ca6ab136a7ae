"""How a channel is made: address, TLS, key."""
from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from typing import Any

import grpc

_MAX_MESSAGE_BYTES = 64 << 20
# As dyadctl. gRPC's own retries stay off: those of _retry.py know what the server said.
OPTIONS = [
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5000),
]


@dataclasses.dataclass(frozen=True)
class TLS:
    """Paths of PEM files. Without `ca` the system's roots hold; `cert` and `key`, together, are our own."""

    ca: str | os.PathLike[str] | None = None
    cert: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together: one of them is missing")


def credentials(tls: TLS) -> Any:
    """Reads the files. OSError names the file; ValueError if one is no PEM."""
    def read(path: str | os.PathLike[str] | None) -> bytes | None:
        if path is None:
            return None
        data = pathlib.Path(path).read_bytes()
        if b"-----BEGIN " not in data:
            raise ValueError(f"{os.fspath(path)} is no PEM file")
        return data

    return grpc.ssl_channel_credentials(read(tls.ca), read(tls.key), read(tls.cert))


def metadata(api_key: str | None) -> tuple[tuple[str, str], ...]:
    """The key, else the one in DYAD_API_KEY, as every call carries it."""
    key = os.environ.get("DYAD_API_KEY", "") if api_key is None else api_key
    return (("authorization", f"Bearer {key}"),) if key else ()
