"""The body links to its header tasks wherever results are kept; a store that fails costs the links and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery import chord
from redis import Redis

from tests.acceptance.story import Forests
from tests.harness import servers

pytestmark = pytest.mark.slow

FOREST = Forests(
    by_last_header_task="""
    request
      apply_async/shop.add#1  link consumer -> run/shop.add#1
      apply_async/shop.add#2  link consumer -> run/shop.add#2
      run/shop.plain          link header -> run/shop.add#1  link header -> run/shop.add#2
    run/shop.add#1            link producer -> apply_async/shop.add#1
    run/shop.add#2            link producer -> apply_async/shop.add#2
      apply_async/shop.plain
""",
    by_unlock="""
    request
      apply_async/shop.add#1  link consumer -> run/shop.add#1
      apply_async/shop.add#2  link consumer -> run/shop.add#2
      apply_async/shop.plain
      run/shop.plain          link header -> run/shop.add#1  link header -> run/shop.add#2
    run/shop.add#1            link producer -> apply_async/shop.add#1
    run/shop.add#2            link producer -> apply_async/shop.add#2
""",
)


def two_header_tasks(story):
    add = story.shop.add
    return chord([add.s(1, 1), add.s(2, 2)], story.shop.plain.si())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def memcached(folder):
    with servers.memcached(folder) as address:
        yield address


@pytest.fixture(scope="module")
def other_valkey(folder):
    """Another server than the broker's: it may refuse what the fan-in needs, and nothing that Celery needs."""
    with servers.valkey(folder) as url:
        yield url


def test_files(story_of, folder):
    story = story_of(backend=folder.as_uri())
    story.run(two_header_tasks(story), FOREST)


def test_sqlalchemy_without_asking_for_it(story_of, folder):
    story = story_of(backend=f"db+sqlite:///{folder}/results.sqlite")
    story.run(
        two_header_tasks(story),
        """
        request
          apply_async/shop.add#1  link consumer -> run/shop.add#1
          apply_async/shop.add#2  link consumer -> run/shop.add#2
          apply_async/shop.plain
          run/shop.plain
        run/shop.add#1            link producer -> apply_async/shop.add#1
        run/shop.add#2            link producer -> apply_async/shop.add#2
        """,
    )


def test_sqlalchemy_with_many_header_tasks(story_of, folder):
    story = story_of(backend=f"db+sqlite:///{folder}/many.sqlite", otel_links={"fan_in": True})
    story.run(
        chord([story.shop.add.s(number, 1) for number in range(40)], story.shop.plain.si()),
        """
        request
          apply_async/shop.add  link consumer -> run/shop.add  x 40
          apply_async/shop.plain
          run/shop.plain        link header -> run/shop.add x 40
        run/shop.add            link producer -> apply_async/shop.add  x 40
        """,
        collapse=4,
        timeout=30,
    )


def test_memcached(story_of, memcached):
    story = story_of(backend=f"cache+memcached://{memcached}/")
    story.run(two_header_tasks(story), FOREST)


@pytest.mark.stages("threads-valkey")
def test_the_memory_of_the_worker(story_of):
    story = story_of(backend="cache+memory://")
    story.run(
        story.shop.publish.s(two_header_tasks(story)),  # the memory is that of one process
        """
        request
          apply_async/shop.publish
            run/shop.publish
              apply_async/shop.add#1  link consumer -> run/shop.add#1
              apply_async/shop.add#2  link consumer -> run/shop.add#2
              run/shop.plain          link header -> run/shop.add#1  link header -> run/shop.add#2
        run/shop.add#1                link producer -> apply_async/shop.add#1
        run/shop.add#2                link producer -> apply_async/shop.add#2
          apply_async/shop.plain
        """,
    )


def test_a_store_that_refuses_costs_the_links_but_the_one_to_the_last_header_task(story_of, other_valkey):
    story = story_of(backend=other_valkey)
    with Redis.from_url(other_valkey) as client:
        client.execute_command("ACL", "SETUSER", "default", "-hset", "-hvals")
        story.run(two_header_tasks(story), FOREST.by_last_header_task.replace("  link header -> run/shop.add#1", "", 1))
        client.execute_command("ACL", "SETUSER", "default", "+hset", "+hvals")
    story.run(two_header_tasks(story), FOREST)


@pytest.mark.clock  # the store is spoilt between the two header tasks
def test_a_store_that_answers_garbage_costs_the_links_but_the_one_to_the_last_header_task(story_of, other_valkey):
    story = story_of(backend=other_valkey)
    canvas = two_header_tasks(story)
    canvas.tasks[0].set(countdown=0.3)
    canvas.tasks[1].set(countdown=0.6)
    spoilt = Redis.from_url(other_valkey)

    def spoil():
        result = canvas.apply_async()
        # What the first header task leaves is spoilt before the second one comes to read it.
        key = f"celery-taskset-meta-{result.parent.id}.otel-links"
        spoilt.hset(key, "somebody", "\x00rubbish")
        spoilt.hset(key, "somebody else", "f" * 100_000)
        return result

    with spoilt:
        story.run(spoil, FOREST)
