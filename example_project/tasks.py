"""What the shop does in the background. How each task's trace relates to its publisher's is said beside the task."""

import os
import signal
import time

from celery import group

from example_project.app import app

RECEIPTS = ("customer", "accounting", "warehouse")
TILLS = (1, 2, 3)
PRODUCTS = range(8)
REPORTS = range(8)
SHIPPER_FAILURES = 2


class ShipperDown(Exception):
    """The parcel service did not take the parcel; it usually does a moment later."""


class CardExpired(Exception):
    """The money can't go back to the card that it came from."""


@app.task(name="shop.charge")
def charge(order: int) -> None:
    """Charge the card. A plain `delay()` continues the trace of the request."""
    time.sleep(0.08)
    ship.delay(order)
    # Nobody waits for receipts: each member of a group gets a trace of its own, which links back to this one.
    group(receipt.s(order, reader) for reader in RECEIPTS).delay()


@app.task(name="shop.ship", bind=True, max_retries=SHIPPER_FAILURES)
def ship(self, order: int) -> None:
    """Hand the parcel over. Attempts are siblings in one trace, and each links to the one before."""
    time.sleep(0.05)
    if order % 2 and self.request.retries < SHIPPER_FAILURES:
        raise self.retry(exc=ShipperDown(), countdown=0.2)


@app.task(name="shop.receipt")
def receipt(order: int, reader: str) -> None:
    """Print and send one receipt."""
    time.sleep(0.04)


@app.task(name="shop.remind")
def remind(order: int) -> None:
    """Ask for a review. Published with a countdown: the time asked for is not counted as queue latency."""
    time.sleep(0.02)


@app.task(name="shop.rebuild_index", otel_propagation="link")
def rebuild_index() -> None:
    """Rebuild the search index. Says for itself that it is always linked, whoever publishes it."""
    for product in PRODUCTS:  # a loop: the messages beyond `fan_out_threshold` are linked, whatever their names
        index_product.delay(product)


@app.task(name="shop.index_product")
def index_product(product: int) -> None:
    """Index one product."""
    time.sleep(0.2)


@app.task(name="shop.count_till")
def count_till(till: int) -> int:
    """Count one till: a header task of the chord that closes the day."""
    time.sleep(0.05 * till)
    return 100 * till


@app.task(name="shop.close_books")
def close_books(sums: list[int]) -> int:
    """Add the tills up: the body of that chord, which links to every header task."""
    time.sleep(0.03)
    return sum(sums)


@app.task(name="shop.refund")
def refund(order: int) -> None:
    """Give the money back. It fails."""
    time.sleep(0.03)
    raise CardExpired(f"order {order}")


@app.task(name="shop.read_photo")
def read_photo(order: int) -> None:
    """Look at the photo of what came back, which is so large that the kernel kills the process for its memory."""
    time.sleep(0.6)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="shop.offer_voucher")
def offer_voucher(order: int) -> None:
    """Offer something else. Published to run later than it expires: it never runs, and has a span all the same."""


@app.task(name="shop.letter")
def letter(reader: int) -> None:
    """Send one newsletter."""
    time.sleep(0.01)


@app.task(name="shop.report")
def report(number: int) -> None:
    """Write a report, slowly: those that the worker has taken already wait in its buffer."""
    time.sleep(0.5)
