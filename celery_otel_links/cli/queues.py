"""What a broker says of its queues without giving away a message. What it cannot tell is None.

Messages that a worker has taken and not acknowledged are not part of any depth.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from celery_otel_links._wire import header as wire

_MOST_TRIED = 5
"""Files that may be gone by the time that they are read."""


class Reading(NamedTuple):
    """Of one queue."""

    depth: int | None = None
    """Messages that no worker has taken."""
    published: float | None = None
    """When the message that has waited longest was published, in seconds since the epoch."""
    consumers: int | None = None
    """Who takes messages from it, as the broker knows."""


def read(connection: Any, names: Iterable[str]) -> dict[str, Reading]:
    """A reading of each queue; of those that do not exist, and on other brokers, an empty one.

    Raises:
        Exception: whatever the broker's client raises when it does not answer.
    """
    reader = READERS.get(connection.transport.driver_type)
    return {name: reader(connection, name) if reader else Reading() for name in names}


def _redis(connection: Any, name: str) -> Reading:
    """A queue has a list per priority. Workers take from the right: what is there has waited longest."""
    channel = connection.default_channel
    keys = dict.fromkeys(channel._q_for_pri(name, priority) for priority in channel.priority_steps)
    depth, published, known = 0, [], True
    with channel.conn_or_acquire() as client:
        # Of the commands that are used here, Kombu puts the prefix in front of the keys of LLEN alone.
        prefix = "" if "LINDEX" in getattr(client, "PREFIXED_SIMPLE_COMMANDS", ()) else channel.global_keyprefix
        for key in keys:
            depth += client.execute_command("LLEN", key)
            message = client.execute_command("LINDEX", f"{prefix}{key}", -1)
            if message is not None:
                time = _published(message)
                known = known and time is not None
                published.append(time or 0.0)
    return Reading(depth, min(published) if published and known else None)


def _amqp(connection: Any, name: str) -> Reading:
    """A passive declaration changes nothing; one of a queue that is not there closes the channel."""
    channel = connection.channel()
    try:
        found = channel.queue_declare(name, passive=True)
    except connection.channel_errors:
        return Reading()
    channel.close()
    return Reading(depth=found.message_count, consumers=found.consumer_count)


def _sql(connection: Any, name: str) -> Reading:
    """By queries of our own: Kombu's make a queue that is not there."""
    channel = connection.default_channel
    message, queue, session = channel.message_cls, channel.queue_cls, channel.session
    try:
        found = session.query(queue).filter(queue.name == name).first()
        if found is None:
            return Reading()
        waiting = session.query(message).filter(message.queue_id == found.id, message.visible.is_(True))
        depth, first = waiting.count(), waiting.order_by(message.sent_at, message.id).first()
        return Reading(depth, _published(first.payload) if first else None)
    finally:
        session.rollback()  # nothing stays locked, and the next look sees what is there then


def _files(connection: Any, name: str) -> Reading:
    """A message is a file, whose name begins with the time."""
    channel = connection.default_channel
    folder = channel.data_folder_in
    found = (one for one in os.listdir(folder) if one.partition(".")[2] == f"{name}.msg")
    files = sorted(found, key=lambda one: (one.find("_"), one))  # it begins with a number, and a longer one is later
    for one in files[:_MOST_TRIED]:
        try:
            with open(os.path.join(folder, one), "rb") as file:
                return Reading(len(files), _published(file.read()))
        except FileNotFoundError:  # a worker was faster
            continue
    return Reading(len(files))


READERS: Mapping[str, Callable[[Any, str], Reading]] = {
    "redis": _redis,
    "amqp": _amqp,
    "sql": _sql,
    "filesystem": _files,
}


def _published(message: str | bytes) -> float | None:
    """When it was published, if it says so."""
    try:
        return wire.decode(json.loads(message)["headers"].get(wire.HEADER))[0]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
