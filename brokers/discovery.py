"""The settings of a process, with what a running `chopar up` has started in the same data folder."""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from activity.settings import Settings, parse_settings
from brokers.lock import is_held


def given_settings(environ: Mapping[str, str] = os.environ, folder: Path = Path()) -> Settings:
    """What a person has set: the environment, then `.env` in `folder`. For whoever starts brokers."""
    return parse_settings(environ, _dotenv(folder / ".env"))


def read_settings(environ: Mapping[str, str] = os.environ, folder: Path = Path()) -> Settings:
    """What a person has set, then where `chopar up` put its brokers, if it is alive. For whoever uses brokers.

    Raises SettingError that names the variable and what was expected.
    """
    settings = given_settings(environ, folder)
    running = _dotenv(folder / _up_env(settings)) if is_held(folder / lock_path(settings)) else {}
    return parse_settings(environ, _dotenv(folder / ".env"), running)


def announce(settings: Settings, urls: Mapping[str, str]) -> None:
    """Tells other commands of this data folder the URLs (by name: `CHOPAR_KAFKA_URL`), for as long as we hold its lock.

    Only the owner may read the file: a URL may hold a password.
    """
    path = _up_env(settings)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{name}={url}\n" for name, url in urls.items())
    draft.replace(path)


def withdraw(settings: Settings) -> None:
    """The URLs are no longer valid."""
    _up_env(settings).unlink(missing_ok=True)


def lock_path(settings: Settings) -> Path:
    """Held by `chopar up` while it runs."""
    return settings.data_dir / "up.lock"


def _up_env(settings: Settings) -> Path:
    return settings.data_dir / "up.env"


def _dotenv(path: Path) -> dict[str, str | None]:
    return dict(dotenv_values(path, interpolate=False))
