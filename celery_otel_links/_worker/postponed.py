"""A signal whose handler raises, and that strikes where that would be lost: it is sent again, a moment later."""

from __future__ import annotations

import _thread
import signal
import threading
import time
from types import FrameType

from billiard import pool

_OURS = __name__.partition(".")[0]
_DISPATCHER = "celery.utils.dispatch.signal"
_PAUSE = 0.01


def in_our_code(frame: FrameType | None) -> bool:
    """Whether ``frame`` is our code or Celery's dispatcher of signals, or called by one of them.

    Celery's own ``send_task``, which we wrap, is called by us, and is not ours. What has called the loop of a pool's
    process belongs to the main process, which was there when it forked.
    """
    while frame is not None and frame.f_code is not pool.Worker.__call__.__code__:
        module = str(frame.f_globals.get("__name__"))
        if module == "celery.app.base" and frame.f_code.co_name == "send_task":
            return False
        if module == _DISPATCHER or module.partition(".")[0] == _OURS:
            return True
        frame = frame.f_back
    return False


class Postponed:
    """A signal of this process that waits."""

    def __init__(self) -> None:
        self._sent_again = False

    def send_again(self, number: int) -> None:
        """After a hundredth of a second."""
        _thread.start_new_thread(self._send, (number,))  # the class's own start takes locks

    def arrived(self) -> bool:
        """Asked by the handler: whether the signal that it handles is the one that was sent again."""
        arrived, self._sent_again = self._sent_again, False
        return arrived

    def _send(self, number: int) -> None:
        time.sleep(_PAUSE)
        self._sent_again = True
        signal.pthread_kill(threading.main_thread().ident or 0, number)
