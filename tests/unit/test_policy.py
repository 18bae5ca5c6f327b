"""Which mode a message gets: every rule, every pair of rules, what was decided before, and what trust allows."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_otel_links._config.modes import Patterns
from celery_otel_links._rules import policy as _policy
from celery_otel_links._rules.facts import MODES, Decision
from celery_otel_links._rules.policy import LONGEST_NAME, RULES, Facts, Policy, Settings, beyond, capped, trusted
from tests.unit.strategies import modes, reasons

NOBODY = Facts("shop.add", "celery")
# Per rule: the facts and the options with which it speaks, and what it says.
SPEAKING = {
    "call": ({"call": "none"}, {}, "none"),
    "task": ({"attribute": "none"}, {}, "none"),
    "task-rule": ({}, {"tasks": {"other.*": "child", "shop.*": "none", "*": "link"}}, "none"),
    "queue-rule": ({}, {"queues": {"bulk": "child", "cel*": "none", "*": "link"}}, "none"),
    "fan-out": ({"fan_out": True}, {}, "link"),
    "loop": ({"looped": True}, {}, "link"),
    "self": ({"publishes_itself": True}, {}, "link"),
    "delay": ({"delayed": True}, {}, "link"),
    "default": ({}, {}, "child"),
}
RANKS = {reason: rank for rank, reason in enumerate(SPEAKING, start=1)}


def speaking(*reasons):
    """Facts and a configuration with which exactly these rules speak (and the default)."""
    facts, options = {}, {}
    for reason in reasons:
        facts |= SPEAKING[reason][0]
        options |= SPEAKING[reason][1]
    return NOBODY._replace(**facts), configured(options)


def configured(options):
    """The settings that these options of the configuration make."""
    patterns = {key: Patterns(rules).first for key, rules in options.items() if key in ("tasks", "queues")}
    return Settings(**{**options, **patterns})


def decide(facts, settings):
    return Policy(settings).decide(facts)


def test_the_ranks_are_those_of_the_documentation():
    assert [reason for reason, _ in RULES] == list(SPEAKING)


@pytest.mark.parametrize("reason", SPEAKING)
def test_a_rule_that_speaks_alone_decides(reason):
    assert decide(*speaking(reason)) == Decision(SPEAKING[reason][2], reason, RANKS[reason])


@pytest.mark.parametrize(("higher", "lower"), list(combinations(SPEAKING, 2)))
def test_of_two_rules_the_one_of_higher_rank_decides(higher, lower):
    assert decide(*speaking(higher, lower)) == decide(*speaking(higher))


@pytest.mark.parametrize(
    ("option", "reason", "mode"),
    [
        ({"fan_out": "child"}, "fan-out", "child"),
        ({"fan_out": "none"}, "fan-out", "none"),
        ({"default": "link"}, "default", "link"),
        ({"tasks": {"shop.add": "child", "shop.*": "link"}}, "task-rule", "child"),
        ({"tasks": {"shop.*": "link", "shop.add": "child"}}, "task-rule", "link"),
        ({"tasks": {"SHOP.*": "link"}}, "default", "child"),
        ({"queues": {"c?lery": "link"}}, "queue-rule", "link"),
        ({"queues": {"[!c]*": "link"}}, "default", "child"),
    ],
    ids=str,
)
def test_what_is_configured_is_what_is_said(option, reason, mode):
    facts = NOBODY._replace(fan_out=reason == "fan-out")
    assert decide(facts, configured(option))[:2] == (mode, reason)


@pytest.mark.parametrize("reason", SPEAKING)
@pytest.mark.parametrize("inherited", range(1, 11))
def test_an_inherited_decision_holds_against_its_own_rank_and_below(reason, inherited):
    facts, config = speaking(reason)
    before = Decision("child", "before", inherited)
    decision = decide(facts._replace(inherited=before), config)
    assert decision == (before if inherited <= RANKS[reason] else decide(facts, config))


@pytest.mark.parametrize(
    ("mode", "most", "expected"),
    [
        ("child", "child", ("child", "task")),
        ("link", "child", ("link", "task")),
        ("none", "child", ("none", "task")),
        ("child", "link", ("link", "trust")),
        ("link", "link", ("link", "trust")),  # the sender may have said so: then nobody must follow its link
        ("none", "link", ("none", "task")),
        ("child", "none", ("none", "trust")),
        ("link", "none", ("none", "trust")),
        ("none", "none", ("none", "trust")),
    ],
)
def test_trust_allows_a_context_so_much_and_no_more(mode, most, expected):
    assert capped(Decision(mode, "task", 2), most) == (*expected, 2)


TRUST = {"public*": "link", "staff": "child", "dark": "none"}
OWN, PUBLIC, DARK, KEYED = {"staff": "staff"}, {"public": "public"}, {"dark": "dark"}, {"public": "inbox.new"}


@pytest.mark.parametrize(
    ("routing_key", "queues", "expected"),
    [
        ("staff", OWN, "child"),
        ("public", PUBLIC, "link"),
        ("public", OWN | PUBLIC, "link"),
        ("staff", OWN | PUBLIC, "child"),
        ("other", {"other": "other"} | PUBLIC, "child"),
        ("inbox.new", KEYED, "link"),  # the queue's own key
        ("staff", PUBLIC, "link"),  # chosen by the sender: no queue of this worker has it
        ("anything", PUBLIC | DARK, "none"),
        ("", PUBLIC, "link"),
        ("public-news", OWN, "link"),
        ("anything", {}, "child"),
        ("dark", {}, "none"),
    ],
)
def test_the_trust_in_a_queue_holds_for_whatever_key_it_is_reached_by(routing_key, queues, expected):
    assert trusted(Patterns(TRUST).first, routing_key, queues) == expected


@pytest.mark.parametrize(
    ("value", "threshold", "expected"),
    [(61.0, 60.0, True), (60.0, 60.0, False), (1e9, None, False), (1, 0, True), (float("nan"), 0, False)],
)
def test_a_threshold_is_crossed_only_beyond_it(value, threshold, expected):
    assert beyond(value, threshold) is expected


decisions = st.builds(Decision, modes, reasons, st.integers(1, 99))
facts = st.builds(
    Facts,
    task=st.sampled_from(["shop.add", "other.add", ""]),
    queue=st.sampled_from(["celery", "bulk", ""]),
    call=st.none() | modes,
    attribute=st.none() | modes,
    fan_out=st.booleans(),
    looped=st.booleans(),
    publishes_itself=st.booleans(),
    delayed=st.booleans(),
    inherited=st.none() | decisions,
)
rules = st.dictionaries(st.sampled_from(["*", "shop.*", "celery", "b?lk", "other.add"]), modes, max_size=3)
options = st.fixed_dictionaries({}, optional={"default": modes, "fan_out": modes, "tasks": rules, "queues": rules})
# What makes a rule speak that may have been silent, by its rank.
MORE = {
    1: lambda facts, given, mode: (facts._replace(call=facts.call or mode), given),
    2: lambda facts, given, mode: (facts._replace(attribute=facts.attribute or mode), given),
    3: lambda facts, given, mode: (facts, given | {"tasks": {**given.get("tasks", {}), "*": mode}}),
    4: lambda facts, given, mode: (facts, given | {"queues": {**given.get("queues", {}), "*": mode}}),
    5: lambda facts, given, mode: (facts._replace(fan_out=True), given | {"fan_out": mode}),
    6: lambda facts, given, _: (facts._replace(looped=True), given),
    7: lambda facts, given, _: (facts._replace(publishes_itself=True), given),
    8: lambda facts, given, _: (facts._replace(delayed=True), given),
    9: lambda facts, given, mode: (facts, given | {"default": mode}),
}


@given(facts, options, st.sampled_from(list(MORE)), modes)
def test_a_rule_of_lower_rank_never_changes_the_decision(facts, given_options, rank, mode):
    before = decide(facts, configured(given_options))
    more_facts, more_options = MORE[rank](facts, given_options, mode)
    after = decide(more_facts, configured(more_options))
    if rank > before.rank:
        assert after == before
    else:
        assert after.rank <= before.rank


@given(facts, options, st.sampled_from(MODES))
def test_trust_never_brings_closer(facts, given_options, most):
    decision = decide(facts, configured(given_options))
    limited = capped(decision, most)
    assert MODES.index(limited.mode) >= MODES.index(most)
    assert MODES.index(limited.mode) >= MODES.index(decision.mode)


def test_a_decision_is_made_once(monkeypatch):
    asked = []
    monkeypatch.setattr(_policy, "RULES", (("default", lambda facts, _: asked.append(facts) or "child"),))
    policy = Policy(Settings())
    for _ in range(3):
        policy.decide(NOBODY)
        policy.decide(NOBODY._replace(delayed=True))
    assert asked == [NOBODY, NOBODY._replace(delayed=True)]


LONG = "x" * (LONGEST_NAME + 1)


@pytest.mark.parametrize("names", [{"task": LONG}, {"queue": LONG}])
def test_a_decision_under_a_long_name_is_right_and_not_kept(names):
    policy = Policy(configured({"tasks": {"xxx*": "none"}}))
    mode, reason, rank = policy.decide(NOBODY._replace(**names))
    assert (mode, reason, rank) == (
        ("none", "task-rule", 3) if "task" in names else ("child", "default", RANKS["default"])
    )
    assert policy._remembered.cache_info().currsize == 0
    policy.decide(NOBODY._replace(task=LONG[1:], queue=LONG[1:]))
    assert policy._remembered.cache_info().currsize == 1


def test_few_decisions_are_kept_however_many_names_there_are():
    policy = Policy(Settings())
    for number in range(_policy._MOST_DECISIONS + 100):
        assert policy.decide(NOBODY._replace(task=f"invented.{number}")).mode == "child"
    assert policy._remembered.cache_info().currsize == _policy._MOST_DECISIONS == 4096
