"""Settings as environment variables, for the processes that are started here."""

import os
from collections.abc import Mapping

from activity.settings import PREFIX, Settings


def variables_of(settings: Settings) -> dict[str, str]:
    """Each setting that is set, as its `CHOPAR_…` variable. `parse_settings` reads the same settings from it."""
    values = ((name, getattr(settings, name)) for name in settings.__struct_fields__)
    return {f"{PREFIX}{name.upper()}": str(value) for name, value in values if value is not None}


def environment_of(settings: Settings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`environ` for a process that is to have exactly `settings`."""
    others = {name: value for name, value in environ.items() if not name.startswith(PREFIX)}
    return {**others, **variables_of(settings)}
