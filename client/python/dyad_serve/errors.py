"""What a call may end with."""
from __future__ import annotations

import re
from typing import Any

from dyad_serve import _wire

# Reasons of google.rpc.ErrorInfo with which a full server refuses what it would take later.
_FULL = ("QUEUE_FULL", "UNREAD_ANSWERS")


class DyadError(Exception):
    """A call that failed.

    code         name of the gRPC status, such as "INVALID_ARGUMENT"
    message      the server's own words: field, value and limit
    reason       short name of the cause, such as "QUEUE_FULL"; empty if the server gave none
    fields       every field that is wrong, by its name in the API, with what is wrong with it
    retry_after  seconds after which the server wants to be asked again; None if it did not say
    request_id   the one in the server's log; empty if the call did not get so far
    """

    def __init__(self, code: str, message: str, reason: str = "", fields: dict[str, str] | None = None,
                 retry_after: float | None = None, request_id: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.reason = reason
        self.fields = fields or {}
        self.retry_after = retry_after
        self.request_id = request_id


class InvalidArgument(DyadError):
    """A field has a value that it may not have; the same call fails again."""


class NotFound(DyadError):
    """There is no such model."""


class QueueFull(DyadError):
    """The server was full until the timeout."""


class Unavailable(DyadError):
    """There is no server at the address, or it ends."""


class DeadlineExceeded(DyadError):
    """The answer did not come within the timeout."""


class Unauthenticated(DyadError):
    """The server wants a key, or another one."""


_CLASSES: dict[str, type[DyadError]] = {
    "INVALID_ARGUMENT": InvalidArgument, "OUT_OF_RANGE": InvalidArgument, "NOT_FOUND": NotFound,
    "UNAVAILABLE": Unavailable, "DEADLINE_EXCEEDED": DeadlineExceeded, "UNAUTHENTICATED": Unauthenticated,
}


def make(code: str, message: str, **details: Any) -> DyadError:
    """The error of the class that belongs to the code."""
    kind = QueueFull if details.get("reason") in _FULL else _CLASSES.get(code, DyadError)
    return kind(code, message, **details)


def other_weights(found: str, before: str) -> DyadError:
    return make("ABORTED", f"the server has other weights than when the run began: model digest {found}, not {before}")


def from_rpc(error: Any) -> DyadError:
    """The error of a grpc.RpcError or grpc.aio.AioRpcError, with what google.rpc.Status says beside it."""
    metadata = {key: value for part in (error.initial_metadata(), error.trailing_metadata()) for key, value in part or ()}
    details: dict[str, Any] = {"request_id": metadata.get("x-request-id", "")}
    status = _wire.message("google.rpc.Status").FromString(metadata.get("grpc-status-details-bin", b""))
    for detail in status.details:
        kind = detail.type_url.rpartition("/")[2]
        if kind == "google.rpc.BadRequest":
            violations = _wire.message(kind).FromString(detail.value).field_violations
            details["fields"] = {violation.field: violation.description for violation in violations}
        elif kind == "google.rpc.ErrorInfo":
            details["reason"] = _wire.message(kind).FromString(detail.value).reason
        elif kind == "google.rpc.RetryInfo":
            delay = _wire.message(kind).FromString(detail.value).retry_delay
            details["retry_after"] = delay.seconds + delay.nanos / 1e9
    return make(error.code().name, error.details() or "", **details)


def moved(error: DyadError, first: int) -> DyadError:
    """The error of a request that began with item `first` of the caller's: items[0] is that one."""
    def move(text: str) -> str:
        return re.sub(r"\bitems\[(\d+)\]", lambda found: f"items[{int(found[1]) + first}]", text)

    fields = {move(field): move(what) for field, what in error.fields.items()}
    return make(error.code, move(error.message), reason=error.reason, fields=fields, retry_after=error.retry_after,
                request_id=error.request_id)
