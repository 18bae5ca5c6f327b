"""The demo from start to end: servers up, requests played, quiet awaited, servers down, pictures drawn."""

import json
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from example_project.demo import latency, page, play, servers, trees
from example_project.demo.collector import Collector, CollectorDown
from example_project.demo.servers import SIGNALS, DemoError, Server
from example_project.demo.stories import Stories

__all__ = ["SIGNALS", "DemoError", "Options", "run"]

PATIENCE = 15.0  # seconds for the last task to run and to be exported
WIDTH = 100  # where the output is no terminal


@dataclass(frozen=True)
class Options:
    """The command line: URLs and file names."""

    broker: str | None
    otlp: str | None
    html: str | None
    json: str | None


def run(options: Options) -> None:
    """Play, then print; `DemoError` where that can't be done, or where spans are missing."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    with tempfile.TemporaryDirectory(prefix="shop-") as directory:
        collector, missing = _play(options, Path(directory), console)
    stories = Stories(collector.spans)
    trees.draw(console, stories)
    console.print()
    console.print(latency.table(collector.spans))
    console.print()
    console.print(latency.plot(collector.waits))
    _write(options, collector, stories, console)
    if missing:
        names = ", ".join(f"{number} x {task}" for task, number in sorted(missing.items()))
        raise DemoError(f"these runs were not seen within {PATIENCE:.0f} seconds: {names}")


def _play(options: Options, directory: Path, console: Console) -> tuple[Collector, Counter[str]]:
    with ExitStack() as stack:
        try:
            collector = Collector(options.otlp)
        except CollectorDown as error:
            raise DemoError(f"the collector {options.otlp} does not take OTLP over HTTP: {error}") from error
        stack.callback(collector.close)
        if options.broker:
            servers.check_broker(options.broker)
        progress = stack.enter_context(_progress(console))
        worker, web = _start(stack, options.broker, directory, collector.endpoint, progress)
        sent = progress.add_task("requests", total=len(play.ACTS))
        for _ in play.requests(web.url):
            progress.advance(sent)
        runs = progress.add_task("runs seen by the collector", total=play.expected_runs().total())

        def look(seen: int) -> None:
            progress.update(runs, completed=seen)
            worker.check()
            web.check()

        missing = play.wait_for_runs(collector, PATIENCE, look)
        down = progress.add_task("worker and web stopped", total=2)
        worker.ask_to_stop()  # both at once
        for server in (web, worker):
            server.stop()
            progress.advance(down)
        return collector, missing


def _start(
    stack: ExitStack, own_broker: str | None, directory: Path, endpoint: str, progress: Progress
) -> tuple[Server, Server]:
    up = progress.add_task("servers: broker, worker, web", total=3)
    broker = own_broker
    if not broker:
        valkey = servers.start(stack, servers.valkey, directory)
        valkey.wait_until_ready()
        broker = valkey.url
    progress.advance(up)
    env = servers.environment(broker, not own_broker, endpoint, directory)
    if own_broker:
        stack.callback(servers.remove_queue, broker, env["SHOP_QUEUE"])
    worker = servers.start(stack, servers.worker, directory, env)
    web = servers.start(stack, servers.web, directory, env)
    for server in (web, worker):
        server.wait_until_ready()
        progress.advance(up)
    return worker, web


def _progress(console: Console) -> Progress:
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)


def _write(options: Options, collector: Collector, stories: Stories, console: Console) -> None:
    console.print()
    if options.json:
        record = {"spans": [asdict(span) for span in collector.spans], "waits": [asdict(w) for w in collector.waits]}
        Path(options.json).write_text(json.dumps(record, indent=1), encoding="utf-8")
        console.print(f"Spans and queue latencies are in {options.json}", soft_wrap=True)
    if options.html:
        Path(options.html).write_text(page.html(stories), encoding="utf-8")
        console.print(f"The picture is in {options.html}", soft_wrap=True)
    if options.otlp:
        lost = f", {collector.not_forwarded} were not taken" if collector.not_forwarded else ""
        console.print(f"{collector.forwarded} exports went on to {options.otlp}{lost}", soft_wrap=True)
