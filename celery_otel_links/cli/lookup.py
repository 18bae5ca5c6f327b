"""Finding out about a workflow: from the result backend, from what header tasks have left there, and from workers.

Everything is read by the backend's public methods, and nothing is written or removed.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import Celery
from celery.backends.base import DisabledBackend
from opentelemetry.trace import format_trace_id

from celery_otel_links._errors import in_words
from celery_otel_links._wire import header as wire
from celery_otel_links._wire.result_backends import left
from celery_otel_links._worker.questions import why, within
from celery_otel_links.cli.broker import CONNECTING, unreachable
from celery_otel_links.cli.workflow import HELD, NOTHING_STORED, Known, culprit, mentioned, of_result

MOST = 1000
"""Tasks of one workflow that are looked at."""
_ROUNDS = 3
"""How often workers are asked: what they hold may lead to results, which lead to what they hold."""


class Lookup:
    """What is found out, as it grows; ``unknown`` says what could not be, and why."""

    def __init__(self, app: Celery, timeout: float) -> None:
        self.tasks: dict[str, Known] = {}
        self.stored: dict[str, set[str]] = {}
        """Of the groups in which header tasks have left their spans: which tasks those are."""
        self.unknown: list[str] = []
        self._app = app
        self._timeout = timeout
        self._backend = self._readable_backend()
        self._read: set[str] = set()
        self._left: dict[str, set[str]] = {}
        self._keys: set[str] = set()
        self._asked: set[str] = set()

    def of(self, identifier: str) -> None:
        """Find out about the workflow that this task is in."""
        self.tasks[identifier] = Known(identifier)
        workers = self._reachable()
        for _ in range(_ROUNDS):
            self._read_results()
            ids = {*self.tasks, *(task.group for task in self.tasks.values() if task.group)}
            if not workers or ids <= self._asked:
                break
            self._ask_workers(sorted(ids))
            self._asked |= ids
        self._say_what_is_missing()

    def _read_results(self) -> None:
        """Follow what is known to other tasks, until nothing new comes up."""
        while todo := self._unread():
            if len(self._read) + len(todo) > MOST:
                self._say(f"the rest of the workflow: more than {MOST} tasks are not looked at")
                return
            for identifier in sorted(todo):
                self._add(self._result(identifier))
                self._read.add(identifier)
            for group in {task.group for task in self.tasks.values() if task.group}:
                self._read_left(group)

    def _unread(self) -> set[str]:
        named = {other for task in self.tasks.values() for other in mentioned(task)}
        return (named | self.tasks.keys()) - self._read

    def _add(self, task: Known) -> None:
        known = self.tasks.get(task.id)
        self.tasks[task.id] = task if known is None else known.joined(task)

    def _readable_backend(self) -> Any:
        try:
            backend = self._app.backend
        except Exception as error:
            self._say(f"results: the result backend can't be used: {in_words(error)}")
            return None
        if isinstance(backend, DisabledBackend):
            self._say("results: the application has no result backend (result_backend)")
            return None
        if type(backend).__module__ == "celery.backends.rpc":
            self._say("results: with rpc:// only the process that has published a task can read its result")
            return None
        return backend

    def _result(self, identifier: str) -> Known:
        if self._backend is None:
            return Known(identifier)
        try:
            meta = within(CONNECTING, partial(self._backend.get_task_meta, identifier))
        except Exception as error:
            self._backend = None
            self._say(f"results: the result backend can't be read: {why(error)}")
            return Known(identifier)
        if meta.get("status") != NOTHING_STORED:
            self._keys |= {key for key, value in meta.items() if value is not None}
        return of_result(meta, identifier)

    def _read_left(self, group: str) -> None:
        """What the header tasks of a group have left: it says their traces, and with Redis it names the tasks, too."""
        members = {task.id for task in self.tasks.values() if task.group == group}
        members |= {child for task in self.tasks.values() for child, its in task.children if its == group}
        if self._backend is None or members <= self._left.get(group, set()):
            return
        self._left[group] = members
        try:
            found = within(CONNECTING, partial(left, self._backend, group, sorted(members)))
        except Exception as error:
            self._say(f"what the header tasks of {group} have left: {why(error)}")
            return
        for identifier, text in found.items():
            if (context := wire.decode_context(text)) is not None:
                trace = format_trace_id(context.trace_id)
                self._add(Known(identifier, group=group, trace=trace))
                self.stored.setdefault(group, set()).add(identifier)

    def _reachable(self) -> bool:
        broker = unreachable(self._app)
        if broker is not None:
            self._say(f"what workers hold: the broker can't be reached: {broker}")
        return broker is None

    def _ask_workers(self, ids: list[str]) -> None:
        arguments, replies = {"ids": ids}, None
        try:
            ask = self._app.control.broadcast
            replies = ask("otel_links_held", arguments=arguments, reply=True, timeout=self._timeout)
        except Exception as error:
            self._say(f"what workers hold: {in_words(error)}")
            return
        if not replies:
            self._say(f"what workers hold: no worker has answered within {self._timeout:g} s")
        for reply in replies or ():
            for worker, told in reply.items():
                if "tasks" not in told:
                    self._say(f"what {worker} holds: {told.get('error') or 'it does not know what it is asked'}")
                for one in told.get("tasks") or ():
                    self._add(Known(**{**one, "worker": worker, "bodies": tuple(one["bodies"])}))

    def _say_what_is_missing(self) -> None:
        tasks = self.tasks.values()
        ended = [task for task in tasks if task.state not in (NOTHING_STORED, *HELD)]
        if ended and not {"parent_id", "children", "group_id"} & self._keys:
            self._say("who published whom: the results of this backend hold neither parents nor children nor groups")
        if any(task.name is None and culprit(task) is None for task in ended):
            self._say("names, workers and queues of ended tasks: results hold them with result_extended = True alone")
        if self._backend is not None and any(task.state == NOTHING_STORED for task in tasks):
            expires = self._app.conf.result_expires
            self._say(
                "the tasks marked as PENDING: no result of them is stored, since they have not ended, ignore their "
                f"results, never existed, or have expired (result_expires = {expires})"
            )

    def _say(self, text: str) -> None:
        if text not in self.unknown:
            self.unknown.append(text)
