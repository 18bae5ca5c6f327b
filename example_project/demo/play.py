"""The play: which requests are sent, and which runs each of them must lead to."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import httpx

from example_project import tasks
from example_project.demo.collector import Collector
from example_project.demo.record import Span
from example_project.demo.servers import DemoError

CHECKOUT = Counter({"shop.charge": 1, "shop.receipt": len(tasks.RECEIPTS), "shop.ship": 1, "shop.remind": 1})


@dataclass(frozen=True)
class Act:
    """One request, and how often each task runs because of it, retries included."""

    path: str
    runs: Counter[str]
    pause: float  # seconds until the next customer


ACTS = (
    Act("/checkout?order=1", CHECKOUT + Counter({"shop.ship": tasks.SHIPPER_FAILURES}), 1.0),
    Act("/catalogue", Counter({"shop.rebuild_index": 1, "shop.index_product": len(tasks.PRODUCTS)}), 0.3),
    Act("/checkout?order=2", CHECKOUT, 1.0),
    Act("/close-day", Counter({"shop.count_till": len(tasks.TILLS), "shop.close_books": 1}), 0),
)


def requests(url: str) -> Iterator[Act]:
    """Send every request of the play, and yield each when it is answered."""
    with httpx.Client(base_url=url, trust_env=False, timeout=10) as customer:
        for act in ACTS:
            try:
                customer.post(act.path).raise_for_status()
            except httpx.HTTPError as error:
                raise DemoError(f"the web application did not answer {act.path}: {error}") from error
            yield act
            time.sleep(act.pause)


def expected_runs() -> Counter[str]:
    """How often each task runs in the whole play."""
    return sum((act.runs for act in ACTS), Counter())


def runs_of(spans: Iterable[Span]) -> Counter[str]:
    """How often each task has run, by its spans."""
    return Counter(span.task for span in spans if span.is_run)


def wait_for_runs(collector: Collector, seconds: float, progress: Callable[[int], None]) -> Counter[str]:
    """Until the run spans of the whole play have arrived, or `seconds`; gives what is missing."""
    deadline = time.monotonic() + seconds
    while True:
        runs = runs_of(collector.spans)
        missing = expected_runs() - runs
        progress(expected_runs().total() - missing.total())
        if not missing or time.monotonic() > deadline:
            return missing
        collector.wait_for_more(0.2)
