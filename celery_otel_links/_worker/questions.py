"""Questions to others who may never answer: asked in a thread of their own, and waited for within a bound."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from celery_otel_links._errors import in_words

PROBE = "celery_otel_links.probe"
"""The name of the task with which `otel-links doctor` asks the processes that run tasks."""
T = TypeVar("T")


class NoAnswer(Exception):
    """It has not come in time."""


class Question(Generic[T]):
    """Something that is being asked; made by `ask`."""

    def __init__(self, asked: Callable[[], T]) -> None:
        self._asked = asked
        self._answers: list[T] = []
        self._errors: list[Exception] = []
        self._thread = threading.Thread(target=self._run, name="otel-links-question", daemon=True)

    def start(self) -> None:
        """Ask, and come back at once."""
        self._thread.start()

    def answer(self, seconds: float) -> T:
        """The answer, or what was raised instead of it.

        Raises:
            NoAnswer: there is neither within so many seconds; the thread is left behind.
        """
        self._thread.join(seconds)
        if self._errors:
            raise self._errors[0]
        if not self._answers:
            raise NoAnswer(f"no answer within {seconds:g} s")
        return self._answers[0]

    def _run(self) -> None:
        try:
            self._answers.append(self._asked())
        except Exception as error:
            self._errors.append(error)


def ask(asked: Callable[[], T]) -> Question[T]:
    """Ask without waiting. What ``asked`` imports should be imported before.

    Two threads that import one package from different ends see it half made, or wait for each other.
    """
    question = Question(asked)
    question.start()
    return question


def within(seconds: float, asked: Callable[[], T]) -> T:
    """The answer of ``asked``, for which is waited so many seconds; raises as `Question.answer` does."""
    return ask(asked).answer(seconds)


def trouble(seconds: float, asked: Callable[[], object]) -> str | None:
    """What keeps ``asked`` from answering within so many seconds, in words; None: nothing."""
    try:
        within(seconds, asked)
    except Exception as error:
        return why(error)
    return None


def why(error: Exception) -> str:
    """Why there is no answer, in words."""
    return str(error) if isinstance(error, NoAnswer) else in_words(error)
