"""A process and its main process agree who reports an attempt, whenever each of them looks at the board."""

from __future__ import annotations

import os
import time

import pytest

from celery_otel_links._rules.request import RECEIVED, unstarted
from celery_otel_links._worker.attempt_board import VARIABLE, AttemptBoard
from celery_otel_links._worker.child import Child
from celery_otel_links._worker.termination import Termination

DELIVERY = 1_000.25
ACCEPTED = 1_000.5
REQUEST = unstarted({RECEIVED: DELIVERY})
ACCESSES = 6


@pytest.fixture
def board():
    board = AttemptBoard()
    board.share(forked=True)
    return board


@pytest.fixture
def child(board):
    child = Child(board, Termination(lambda: 1.0))
    child.started()
    child.begin(REQUEST)
    return child


class Interrupted:
    """The numbers of a process; somebody else does something just before one of them is read or written."""

    def __init__(self, numbers, at, act):
        self._numbers, self._left, self._act = numbers, at, act

    def _count(self):
        self._left -= 1
        if self._left == 0:
            self._act()

    def __getitem__(self, index):
        self._count()
        return self._numbers[index]

    def __setitem__(self, index, value):
        self._count()
        self._numbers[index] = value


def take(board):
    return board.take(os.getpid(), DELIVERY, ACCEPTED)


def reported_by_main(board, taken):
    """What the main process comes to know, when it looks again after the process has gone on."""
    return taken or board.left(os.getpid(), DELIVERY)


@pytest.mark.parametrize("at", range(1, ACCESSES + 1))
def test_one_of_them_reports_if_the_main_process_comes_in_between(board, child, monkeypatch, at):
    takes = []
    monkeypatch.setattr(child, "_slot", Interrupted(child._slot, at, lambda: takes.append(take(board))))
    claimed = child.claim(REQUEST)
    taken = takes[0] if takes else take(board)
    assert reported_by_main(board, taken) is not claimed


@pytest.mark.parametrize("at", range(1, ACCESSES + 1))
def test_one_of_them_reports_if_the_process_comes_in_between(board, child, monkeypatch, at):
    claims = []
    numbers = Interrupted(child._slot, at, lambda: claims.append(child.claim(REQUEST)))
    monkeypatch.setattr(board, "_of", lambda _: numbers)
    taken = take(board)
    monkeypatch.undo()
    claimed = claims[0] if claims else child.claim(REQUEST)
    assert reported_by_main(board, taken) is not claimed


def test_what_a_process_has_not_begun_is_reported_by_the_main_process(board, child):
    later = time.time() + 1
    assert board.take(os.getpid(), DELIVERY + 1, later)
    assert board.since(os.getpid(), DELIVERY + 1) is None


def test_what_was_claimed_stays_so_when_the_next_attempts_have_begun(board, child):
    assert child.claim(REQUEST)
    for more in (1, 2):
        following = unstarted({RECEIVED: DELIVERY + more})
        child.begin(following)
        child.claim(following)
        assert not take(board)
        assert not board.left(os.getpid(), DELIVERY)


def test_an_attempt_within_another_asks_nobody(board, child):
    take(board)
    assert child.claim(unstarted({}))


def test_without_a_pool_of_processes_everybody_reports_what_it_runs():
    child = Child(AttemptBoard(), Termination(lambda: 1.0))
    child.started()
    child.begin(REQUEST)
    assert child.claim(REQUEST)


def test_a_process_that_inherits_no_memory_finds_the_board_by_the_environment(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    board, other = AttemptBoard(), AttemptBoard()
    board.share(forked=False)
    path = os.environ[VARIABLE]
    child = Child(other, Termination(lambda: 1.0))
    child.started()
    child.begin(REQUEST)
    try:
        assert board.since(os.getpid(), DELIVERY) is not None
        assert take(board)
        assert not child.claim(REQUEST)
    finally:
        os.unlink(path)
