"""`--serve`: shop, workers and page go on, and the page has a button for each kind of request."""

import threading
from collections.abc import Callable
from itertools import count

import httpx
from rich.console import Console

from celery_otel_links.cli.viewer.collector import Action
from example_project.demo import play
from example_project.demo.servers import DemoError
from example_project.demo.shops import Shops

LOOK_EVERY = 1.0  # seconds
BUTTONS = {  # name: label, path, and what the field beside it holds
    "checkout": ("Checkout", "/checkout?order={order}", None),
    "fan-out": ("Fan-out of", "/newsletter?readers={number}", 100),
    "delayed": ("Delayed", "/review?order={order}", None),
    "failing": ("Failing", "/refund?order={order}", None),
    "killed": ("Killed worker", "/photo?order={order}", None),
    "slow": ("Slow consumer", "/reports", None),
}


def actions(shops: Shops) -> dict[str, Action]:
    """The page's buttons: each sends a request to both shops."""
    orders = count(101)
    one_at_a_time = threading.Lock()  # both shops get the requests in the same order

    def sender(path: str) -> Callable[[int], None]:
        def call(number: int) -> None:
            if not shops.ready:
                raise DemoError("the shop is not open yet")
            with one_at_a_time, httpx.Client(trust_env=False, timeout=60) as customer:
                play.send(customer, shops.urls, path.format(order=next(orders), number=number))

        return call

    return {name: Action(label, sender(path), number) for name, (label, path, number) in BUTTONS.items()}


def until_interrupted(console: Console, shops: Shops, endpoint: str) -> None:
    """Until Ctrl-C, which is the regular end; `DemoError` if one of the shops' processes ends before."""
    console.print(f"Open {endpoint}/ and press its buttons; Ctrl-C ends it.", soft_wrap=True)
    forever = threading.Event()
    try:
        while not forever.wait(LOOK_EVERY):
            shops.check()
    except SystemExit:  # a signal; `__main__` has said so
        console.print()
