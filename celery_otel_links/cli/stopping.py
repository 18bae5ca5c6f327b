"""How a command that goes on until somebody ends it learns of that."""

from __future__ import annotations

import signal
import threading
from types import FrameType


def stopped_by_signal() -> threading.Event:
    """Set by Ctrl-C and by SIGTERM, which end nothing else from now on."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return stopped
