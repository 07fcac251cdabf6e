"""The tests of the compiled core are left out where there is none: so whether there has to be one is asked apart from them."""

import os
import shutil
import sysconfig
from pathlib import Path

from activity.hand import COMPILED


def test_it_was_built_where_it_can_be_and_wherever_a_change_is_tried() -> None:
    can_be = Path(sysconfig.get_path("include"), "Python.h").exists() and shutil.which("cc") is not None
    assert COMPILED is not None or not (can_be or os.environ.get("CI") == "true")
