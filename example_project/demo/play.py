"""The play: which requests are sent, and which runs each of them must lead to."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import httpx

from celery_otel_links.cli.viewer.collector import Collector
from celery_otel_links.cli.viewer.record import Span
from example_project import tasks
from example_project.demo.servers import DemoError

CHECKOUT = Counter({"shop.charge": 1, "shop.receipt": len(tasks.RECEIPTS), "shop.ship": 1, "shop.remind": 1})
RETURNS = Counter({"shop.refund": 1, "shop.read_photo": 1, "shop.offer_voucher": 1})


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
    Act("/close-day", Counter({"shop.count_till": len(tasks.TILLS), "shop.close_books": 1}), 0.7),
    Act("/returns?order=1", RETURNS, 0),
)


def requests(urls: Sequence[str]) -> Iterator[Act]:
    """Send every request of the play to each of the shops, and yield it when it is answered."""
    with httpx.Client(trust_env=False, timeout=10) as customer:
        for act in ACTS:
            send(customer, urls, act.path)
            yield act
            time.sleep(act.pause)


def send(customer: httpx.Client, urls: Sequence[str], path: str) -> None:
    """Send one request to each of the shops."""
    for url in urls:
        try:
            customer.post(url + path).raise_for_status()
        except httpx.HTTPError as error:
            raise DemoError(f"the web application did not answer {path}: {error}") from error


def expected_runs() -> Counter[str]:
    """How often each task runs in the whole play."""
    return sum((act.runs for act in ACTS), Counter())


def runs_of(spans: Iterable[Span]) -> Counter[str]:
    """How often each task has run, by its spans."""
    return Counter(span.task for span in spans if span.is_run)


def wait_for_runs(collector: Collector, shops: int, seconds: float, progress: Callable[[int], None]) -> Counter[str]:
    """Until the run spans of the whole play have arrived from all shops, or `seconds`; gives what is missing."""
    deadline = time.monotonic() + seconds
    recordings = (collector.recording, collector.before)[:shops]
    while True:
        missing: Counter[str] = sum((expected_runs() - runs_of(one.spans) for one in recordings), Counter())
        progress(shops * expected_runs().total() - missing.total())
        if not missing or time.monotonic() > deadline:
            return missing
        recordings[0].wait_for_more(0.2)
