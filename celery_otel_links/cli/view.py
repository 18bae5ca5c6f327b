"""`celery -A shop otel-links view`: what the application's own processes send, as a page, for development."""

from __future__ import annotations

import os
import sys

import click

from celery_otel_links.cli.stopping import stopped_by_signal

NEEDS = "the viewer's parts come with: pip install 'celery-otel-links[view]'"


@click.command()
@click.option("--port", default=4318, show_default=True, help="For OTLP/HTTP and the page, on loopback; 0: any free.")
@click.option("--keep", default=50_000, show_default=True, help="Spans to hold in memory; the oldest go first.")
@click.option("--forward", metavar="URL", help="Pass everything on to a collector of yours too: OTLP/HTTP.")
@click.option("--html", metavar="FILE", help="Write the page into a file when the command ends.")
@click.option("--print", "prints", is_flag=True, help="Print the traces as trees when the command ends.")
@click.pass_context
def view(context: click.Context, port: int, keep: int, forward: str | None, html: str | None, prints: bool) -> None:
    """Show the traces of your processes, and the links between them, on a page of this machine.

    Receives OTLP over HTTP and keeps it in memory until it is stopped. Start it, set the variables that it prints
    where your web processes and workers start, and open the page.
    """
    try:
        from celery_otel_links.cli.viewer import page, terminal
        from celery_otel_links.cli.viewer.collector import Collector, CollectorError
    except ImportError as error:
        raise click.ClickException(f"{error}; {NEEDS}") from error
    title = _title(context)
    try:
        if html:
            page.check_writable(html)
        collector = Collector(port=port, keep=keep, forward_to=forward, title=title)
    except (CollectorError, OSError) as error:
        raise click.ClickException(str(error)) from error
    try:
        click.echo(greeting(collector.endpoint))
        stopped = stopped_by_signal()
        sys.stdout.flush()
        stopped.wait()
    finally:
        collector.close()
    spans = collector.recording.spans
    click.echo(f"\n{len(spans):,} spans were received.")
    if prints:
        terminal.show(collector.recording)
    if html:
        page.write(html, page.Show(title=title, spans=spans, before=collector.before.spans))
        click.echo(f"The page is in {html}")


def greeting(endpoint: str) -> str:
    """Where the page is, and what a process needs to send its spans here."""
    lines = [
        f"The page: {endpoint}/",
        "",
        "In the environment of your web processes and workers:",
        "",
        f"  export OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}",
        "  export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        "  export OTEL_BSP_SCHEDULE_DELAY=500    # milliseconds: spans are sent after half a second, not after five",
    ]
    if any(name.lower() in ("http_proxy", "all_proxy") for name in os.environ):
        lines.append("  export NO_PROXY=127.0.0.1             # your proxy can't reach this machine's loopback")
    return "\n".join([*lines, "", "Ctrl-C ends it; what was received is then gone."])


def _title(context: click.Context) -> str:
    app = getattr(context.obj, "app", None)
    return str(getattr(app, "main", None) or "Celery")
