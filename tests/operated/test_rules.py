"""The rules of the operator's pack: promtool reads them and runs their unit tests; every alert has its section."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.harness.needs import needs

REPOSITORY = Path(__file__).parents[2]
PACK = REPOSITORY / "operations" / "prometheus"
FILLED_IN = {"@CLASS@": "interactive", "@QUEUES@": "interactive.*", "@THRESHOLD@": "1", "@OBJECTIVE@": "0.99"}


def filled_in():
    text = (PACK / "slo-template.yml").read_text()
    for placeholder, value in FILLED_IN.items():
        text = text.replace(placeholder, value)
    return text


def alerts():
    groups = [*yaml.safe_load((PACK / "rules.yml").read_text())["groups"], *yaml.safe_load(filled_in())["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


@pytest.mark.parametrize(
    "words", [["check", "rules", "rules.yml", "slo-interactive.yml"], ["test", "rules", "rules_test.yml"]]
)
def test_promtool_says_that_the_rules_do_what_they_are_for(words, tmp_path):
    needs(shutil.which("promtool"), "promtool, of Debian's package prometheus")
    for name in ("rules.yml", "rules_test.yml"):
        shutil.copy(PACK / name, tmp_path)
    (tmp_path / "slo-interactive.yml").write_text(filled_in())
    done = subprocess.run(["promtool", *words], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_raised_by_a_unit_test_and_has_a_section_with_what_to_do():
    names = {rule["alert"] for rule in alerts()}
    tested = yaml.safe_load((PACK / "rules_test.yml").read_text())["tests"]
    raised = {one["alertname"] for test in tested for one in test["alert_rule_test"] if one.get("exp_alerts")}
    page = (REPOSITORY / "docs" / "alerts.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert raised == names == set(sections)
    for name, text in sections.items():
        assert [word for word in ("Means:", "Look at:", "Do:") if word not in text] == [], name
    assert {rule["annotations"]["runbook_url"] for rule in alerts()} == {f"alerts.md#{name.lower()}" for name in names}
