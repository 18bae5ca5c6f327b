"""Kombu's filesystem transport, mended: a message appears in its folder only when it is completely written.

As released (up to kombu 5.7), a worker that looks between the creation and the writing of a file reads an empty
message, and stops with "Unrecoverable error: JSONDecodeError". On a busy machine that
happens once in a few hundred messages.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from time import monotonic
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.encoding import str_to_bytes
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """Writes aside, and moves the whole."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        name = f"{round(monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        aside = Path(self.processed_folder) / name
        aside.write_bytes(str_to_bytes(dumps(payload)))
        os.replace(aside, Path(self.data_folder_out) / name)


class Transport(filesystem.Transport):
    """The filesystem transport with that channel."""

    Channel = Channel


def install() -> None:
    """Make `filesystem://` mean this transport in this process."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
