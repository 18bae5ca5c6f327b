"""The demo from start to end: servers up, requests played, quiet awaited, servers down, pictures drawn."""

import json
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from celery_otel_links.cli.viewer import page, terminal
from celery_otel_links.cli.viewer.collector import Collector, CollectorError
from example_project.demo import play, serve, servers
from example_project.demo.servers import SIGNALS, DemoError
from example_project.demo.shops import Shops

__all__ = ["SIGNALS", "DemoError", "Options", "run"]

PATIENCE = 15.0  # seconds for the last task to run and to be exported
TITLE = "A small shop"


@dataclass(frozen=True)
class Options:
    """The command line: URLs and file names."""

    broker: str | None = None
    otlp: str | None = None
    html: str | None = None
    json: str | None = None
    serve: bool = False
    port: int = 0


def run(options: Options) -> None:
    """Play, then print; `DemoError` where that can't be done, or where spans are missing."""
    console = terminal.console()
    try:
        for file in filter(None, (options.html, options.json)):
            page.check_writable(file)
    except OSError as error:
        raise DemoError(str(error)) from error
    with tempfile.TemporaryDirectory(prefix="shop-") as directory:
        collector, missing = _play(options, Path(directory), console)
    if not options.serve:
        terminal.show(collector.recording, console)
    _write(options, collector, console)
    if missing:
        names = ", ".join(f"{number} x {task}" for task, number in sorted(missing.items()))
        raise DemoError(f"these runs were not seen within {PATIENCE:.0f} seconds: {names}")


def _play(options: Options, directory: Path, console: Console) -> tuple[Collector, Counter[str]]:
    compared = bool(options.html or options.serve)
    shops_number = 1 + compared
    with ExitStack() as stack:
        shops = Shops(stack, directory, options.broker)
        actions = serve.actions(shops) if options.serve else {}
        try:
            collector = Collector(port=options.port, forward_to=options.otlp, title=TITLE, actions=actions)
        except CollectorError as error:
            raise DemoError(str(error)) from error
        stack.callback(collector.close)
        if options.broker:
            servers.check_broker(options.broker)
        if options.serve:
            console.print(f"The page: {collector.endpoint}/", soft_wrap=True)
        with _progress(console) as progress:
            up = progress.add_task("servers: broker, workers, webs", total=1 + 2 * shops_number)
            shops.start(collector.endpoint, compared, lambda: progress.advance(up))
            sent = progress.add_task("requests", total=len(play.ACTS))
            for _ in play.requests(shops.urls):
                progress.advance(sent)
            runs = progress.add_task("runs seen by the collector", total=shops_number * play.expected_runs().total())

            def look(seen: int) -> None:
                progress.update(runs, completed=seen)
                shops.check()

            missing = play.wait_for_runs(collector, shops_number, PATIENCE, look)
        if options.serve:
            serve.until_interrupted(console, shops, collector.endpoint)
        with _progress(console) as progress:
            down = progress.add_task("workers and webs stopped", total=2 * shops_number)
            shops.stop(lambda: progress.advance(down))
        return collector, missing


def _progress(console: Console) -> Progress:
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description:<30}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)


def _write(options: Options, collector: Collector, console: Console) -> None:
    spans, waits = collector.recording.spans, collector.recording.waits
    if not options.serve:
        console.print()
    if options.json:
        both = {"spans": spans, "before": collector.before.spans, "waits": waits}
        record = {name: [asdict(one) for one in several] for name, several in both.items()}
        Path(options.json).write_text(json.dumps(record, indent=1), encoding="utf-8")
        console.print(f"Spans and queue latencies are in {options.json}", soft_wrap=True)
    if options.html:
        page.write(options.html, page.Show(title=TITLE, spans=spans, before=collector.before.spans))
        console.print(f"The page is in {options.html}", soft_wrap=True)
    if options.otlp:
        lost = f", {collector.not_forwarded} were not taken" if collector.not_forwarded else ""
        console.print(f"{collector.forwarded} exports went on to {options.otlp}{lost}", soft_wrap=True)
