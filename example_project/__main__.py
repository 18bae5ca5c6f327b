"""`python -m example_project`: run the shop on a real worker, and show its traces, links and queue latencies."""

import argparse
import os
import signal
import sys
from types import FrameType

if __name__ == "__main__":
    try:
        from example_project.demo import show
    except ImportError as error:
        sys.exit(f"example: {error}; its parts come with: pip install 'celery-otel-links[example]'")


def main() -> int:
    """Parse the command line, run the demo; the exit code is 0, 1 for what is wrong, 128 + n for signal n."""
    parser = argparse.ArgumentParser(prog="python -m example_project", description=__doc__, epilog=EPILOG)
    parser.add_argument("--serve", action="store_true", help="a page with everything on it, live, until Ctrl-C")
    parser.add_argument("--port", type=int, default=0, help="of that page; any free one by default")
    parser.add_argument("--html", metavar="FILE", help="write that page into a file")
    parser.add_argument("--json", metavar="FILE", help="write every span and every exported queue latency too")
    parser.add_argument("--broker", metavar="URL", help="your own Redis or RabbitMQ, instead of a Valkey of our own")
    parser.add_argument("--otlp", metavar="URL", help="your own collector, as well: OTLP/HTTP, http://localhost:4318")
    options = parser.parse_args()
    for number in show.SIGNALS:
        signal.signal(number, _interrupt)
    try:
        show.run(show.Options(**vars(options)))
    except show.DemoError as error:
        print(f"example: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever reads the output has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return 0


EPILOG = "Takes about ten seconds, needs no server, and leaves nothing running."


def _interrupt(number: int, _frame: FrameType | None) -> None:
    for other in show.SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # what is running is being ended: once is enough
    print("example: stopping", file=sys.stderr)
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
