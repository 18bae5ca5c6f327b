"""The tests. Whatever process imports them is watched: what is emitted there has to be declared."""

from tests.harness.watching import watch

watch()
