"""The notifier: `faust -A streams.notify worker -l info` (= `chopar notifier`)."""

from activity.errors import ChoparError
from brokers.discovery import read_settings
from rabbit.tracing import start_tracing
from streams.app import create_notify_app
from streams.loop import use_fast_loop

use_fast_loop()
try:
    app = create_notify_app(read_settings(), start_tracing("chopar-notifier"))
except ChoparError as error:
    raise SystemExit(f"chopar: {error}") from None
