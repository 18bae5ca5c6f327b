"""What is installed where this runs; of what comes from git, the commit: `python -m tests.matrix.installed FILE`."""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import distribution, version
from pathlib import Path


def versions() -> dict[str, str]:
    celery = distribution("celery")
    origin = json.loads(celery.read_text("direct_url.json") or "{}")
    commit = origin.get("vcs_info", {}).get("commit_id")
    return {
        "python": platform.python_version(),
        "celery": f"main ({commit[:8]})" if commit else celery.version,
        "opentelemetry": version("opentelemetry-sdk"),
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(versions()))
