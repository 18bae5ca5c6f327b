"""Publishing: facts -> decision -> PRODUCER span -> headers, and its end, whatever happens.

``send_task`` is wrapped, because only there a publish that fails can be seen; the signal inside it does the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from celery import Celery
from celery._state import get_current_app
from celery.utils import uuid
from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import SpanContext, get_current_span, set_span_in_context

from celery_otel_links._config.modes import TASK_ATTRIBUTE
from celery_otel_links._config.notices import mode_of_call
from celery_otel_links._emit.attributes import producer
from celery_otel_links._emit.spans import is_sampled
from celery_otel_links._errors import PASSING, contained, swallow
from celery_otel_links._rules.canvas import header_task_ids
from celery_otel_links._rules.claims import Moment, claims_of
from celery_otel_links._rules.facts import PLAIN_OUT, Claims, Message, Mode, Outgoing, Shape
from celery_otel_links._rules.message import outgoing
from celery_otel_links._rules.policy import beyond
from celery_otel_links._rules.request import RECEIVED, SECOND
from celery_otel_links._rules.texts import type_name
from celery_otel_links._tracing.delivery import Attempt, current_attempt
from celery_otel_links._tracing.plans import Plan, Stamp
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._tracing.under_way import NOTHING_ASKED, Publishing, under_way
from celery_otel_links._wire import chord_store, w3c
from celery_otel_links._wire import header as wire

_PLACE_OF_ID = 5  # among the positional arguments of send_task
# What stands in a request, and would be copied into the messages that its task publishes, such as a retry.
_NOT_TO_BE_COPIED = (wire.HEADERS_HEADER, RECEIVED, SECOND)


class Publisher:
    """Receives what happens when this process publishes."""

    def __init__(self, telemetry: Telemetry, enabled: Callable[[Celery], bool]) -> None:
        """``enabled`` is asked with the first message: until then the configuration may not be known."""
        self._telemetry = telemetry
        self._enabled = enabled

    def send_task(self, wrapped: Callable[..., Any], app: Celery, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Around ``Celery.send_task``: whatever happens inside, the span ends and the context is as it was."""
        if not (self._telemetry.settled or self._enabled(app)):
            return wrapped(*args, **kwargs)
        publishing, outer = Publishing(), under_way.get()
        publishing.app, publishing.task = app, kwargs.get("task_type")
        if len(args) > _PLACE_OF_ID:
            publishing.id = args[_PLACE_OF_ID]
        else:  # Celery would choose it, a moment later
            publishing.id = kwargs["task_id"] = kwargs.get("task_id") or uuid()
        if outer is not None:
            publishing.asked = outer.asked
        token = under_way.set(publishing)
        error = None
        try:
            result = wrapped(*args, **kwargs)
            if publishing.interrupted is not None:
                raise publishing.interrupted
            return result
        except BaseException as raised:
            error = raised
            raise
        finally:
            under_way.reset(token)
            if publishing.plan is not None:
                self._end(publishing, publishing.plan, error)

    def before_task_publish(
        self,
        *,
        sender: str,
        body: Any,
        headers: dict[str, Any],
        properties: dict[str, Any],
        exchange: Any = None,
        routing_key: Any = None,
        declare: Any = None,
        **_: Any,
    ) -> None:
        """Decide, start the PRODUCER span, make it current, write the headers."""
        publishing = under_way.get()
        try:
            message = Message(sender, headers, body, properties, exchange, routing_key, declare)
            app = None if publishing is None else publishing.app
            identifier = headers.get("id") or message.fields.get("id")
            if publishing is not None and app is not None and publishing.id == identifier:
                publishing.id = None
                self._before(publishing, app, message)
            else:
                self._before_unseen_end(publishing, message)
        except PASSING as error:
            if publishing is None:
                raise
            publishing.interrupted = error  # Celery swallows what a receiver raises
        except Exception:
            swallow("before_task_publish")

    def _before_unseen_end(self, outer: Publishing | None, message: Message) -> None:
        """Published without ``send_task``, perhaps by a receiver within one. Its end can't be seen, so it is now."""
        publishing = Publishing()
        if outer is not None:
            publishing.asked = outer.asked
        try:
            self._before(publishing, get_current_app(), message)
        finally:
            publishing.started = None
            if publishing.plan is not None:
                self._end(publishing, publishing.plan, None)

    def _before(self, publishing: Publishing, app: Celery, message: Message) -> None:
        now, asked, headers, telemetry = time.time(), publishing.asked, message.headers, self._telemetry
        config, plans = telemetry.settled or telemetry.settle(app)
        attempt = current_attempt()
        facts = outgoing(message, None if attempt is None else attempt.publisher)
        plan = plans.to_publish(app, message, publishing.task)
        context = otel.get_current()
        active = get_current_span(context).get_span_context()
        call = asked.mode
        if wire.CALL_HEADER in headers or TASK_ATTRIBUTE in message.properties:
            call = _asked_by_call(message) or call
        delayed = facts.eta is not None and beyond(facts.eta - now, config.delay_threshold)
        stamp = self._decide(plan, facts, call, active, delayed, attempt)
        claims = stamp.claims
        if facts is not PLAIN_OUT or attempt is not None or asked.captured is not None:
            moment = Moment(now, active, delayed, config.delay_threshold, asked.captured)
            predecessor = None if attempt is None else attempt.predecessor
            claims = claims_of(facts, stamp.decision, predecessor, moment)
        reserved = None
        if not (plan.excluded or (len(context) > 1 and not is_instrumentation_enabled())):
            publishing.plan, publishing.stamp = plan, stamp
            publishing.instruments = telemetry.metrics.active()
            if publishing.instruments is not None:
                publishing.started = time.perf_counter()
            if not telemetry.spans.skips(active):
                context, reserved = self._start(publishing, plan, message, facts, claims, context)
                if config.publish_hook is not None and publishing.span is not None and publishing.span.is_recording():
                    with contained("publish_hook"):
                        config.publish_hook(publishing.span, message)
        span_context = active if publishing.span is None else publishing.span.get_span_context()
        if facts is not PLAIN_OUT and facts.shape is Shape.RETRY:
            w3c.drop(headers)  # a retry re-sends the headers of the message that it retries
        w3c.inject(headers, context, span_context, config.baggage)
        if not headers.keys().isdisjoint(_NOT_TO_BE_COPIED):
            for name in _NOT_TO_BE_COPIED:
                headers.pop(name, None)
        if claims is stamp.claims or claims == stamp.claims:
            headers[wire.HEADER] = wire.encode_plainly(now, stamp.text, reserved)
        else:
            headers[wire.HEADER] = wire.encode(now, claims._replace(reserved=reserved))
        if facts is not PLAIN_OUT and facts.shape is Shape.CHORD_BODY and attempt is not None:
            headers[wire.HEADERS_HEADER] = _header_runs(app, attempt, config.fan_in)

    def _decide(
        self,
        plan: Plan,
        facts: Outgoing,
        call: Mode | None,
        active: SpanContext,
        delayed: bool,
        attempt: Attempt | None,
    ) -> Stamp:
        shape, looped, itself = facts.shape, False, False
        if shape is Shape.SINGLE:
            looped = self._telemetry.published.looped(active)
            itself = attempt is not None and attempt.delivery.plan.route.name == plan.route.name
        if facts is PLAIN_OUT and not (call or looped or itself):
            return plan.plain or plan.decide_plainly()
        decision = plan.decide(
            call=call,
            fan_out=shape is Shape.FAN_OUT,
            looped=looped,
            publishes_itself=itself,
            delayed=delayed,
            inherited=attempt.delivery.decision if attempt is not None and shape is Shape.RETRY else None,
        )
        return plan.stamp(decision)

    def _start(
        self, publishing: Publishing, plan: Plan, message: Message, facts: Outgoing, claims: Claims, context: Context
    ) -> tuple[Context, SpanContext | None]:
        """Start the span and make it current. Returns its context, and the one that is reserved for the run span.

        A sampler or processor that raises costs the span, and not the headers.
        """
        stamp, spans, reserved = publishing.stamp, self._telemetry.spans, None
        try:
            attributes = producer(stamp.attributes, message, facts, self._telemetry.style.contrib_names)
            if publishing.asked is not NOTHING_ASKED:
                attributes.update(publishing.asked.attributes(time.time()))
            publishing.span = span = spans.producer(plan.span_name, context, attributes)
            publishing.context = context = set_span_in_context(span, context)
            publishing.token = otel.attach(context)
            if stamp.decision.mode == "link" and plan.reserves(stamp.decision):
                reserved = spans.reserve(span, claims.first)
        except PASSING:
            raise
        except Exception:
            swallow("the start of a PRODUCER span")
        return context, reserved

    def _end(self, publishing: Publishing, plan: Plan, error: BaseException | None) -> None:
        span, started, instruments = publishing.span, publishing.started, publishing.instruments
        try:
            if instruments is not None:
                seconds = None if started is None else time.perf_counter() - started
                failed = None if error is None else type_name(error)
                decision, context = publishing.stamp.decision, publishing.context if is_sampled(span) else None
                instruments.published(plan.task_labels, plan.operation_labels, decision, failed, seconds, context)
                if publishing.asked.drift is not None:
                    instruments.ticked(publishing.asked.entry, publishing.asked.drift, context)
            if span is not None:
                self._telemetry.spans.finish(span, None, error)
        except PASSING:
            raise
        except Exception:
            swallow("the end of a publish")
        finally:
            if publishing.token is not None:
                otel.detach(publishing.token)


def _asked_by_call(message: Message) -> Mode | None:
    """The mode that the call asks for, by ``otel_propagation=`` or a header. It is taken off the message."""
    asked = message.headers.pop(wire.CALL_HEADER, None)
    return mode_of_call(message.properties.pop(TASK_ATTRIBUTE, asked), message.name)


def _header_runs(app: Celery, attempt: Attempt, enabled: bool | None) -> str:
    """What the body of a chord gets that ``attempt``, the last header task or ``celery.chord_unlock``, publishes."""
    if attempt.header_runs is None:
        request = attempt.delivery.request
        contexts = chord_store.gather(app, request.group, header_task_ids(request), enabled)
        if not contexts and attempt.context is not None:
            contexts = [attempt.context]
        attempt.header_runs = wire.encode_headers(contexts)
    return attempt.header_runs
