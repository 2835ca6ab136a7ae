"""When a call is tried again. Scores do not depend on the attempt, so trying again is always safe."""
from __future__ import annotations

import time

from dyad_serve import errors

ATTEMPTS = 5
FIRST_BACKOFF, LAST_BACKOFF, GROWTH = 0.1, 5.0, 3
PUSHBACK = 0.1  # seconds, where a full server names none


class Retry:
    """The tries of one call, until its deadline. As dyadctl: UNAVAILABLE is tried five times, a full queue is
    waited for as long as the server says, everything else is final."""

    def __init__(self, timeout: float | None) -> None:
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._attempts = ATTEMPTS
        self._backoff = FIRST_BACKOFF
        self._before: errors.DyadError | None = None

    def left(self) -> float | None:
        """Seconds until the deadline; None if there is none."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def wait_after(self, error: errors.DyadError) -> float:
        """Seconds to wait before the next try. Raises the error if it is final."""
        # A server that had no more than the rest of the time was not too slow.
        if isinstance(error, errors.DeadlineExceeded) and self._before is not None:
            raise self._before from None
        if isinstance(error, errors.QueueFull):
            wait = PUSHBACK if error.retry_after is None else error.retry_after
        elif isinstance(error, errors.Unavailable) and self._attempts > 1:
            self._attempts -= 1
            wait = self._backoff
            self._backoff = min(self._backoff * GROWTH, LAST_BACKOFF)
        else:
            raise error from None
        left = self.left()
        if left is not None and wait >= left:
            raise error from None
        self._before = error
        return wait
