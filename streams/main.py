"""The worker: `faust -A streams.main worker -l info` (= `chopar worker`)."""

from activity.errors import ChoparError
from brokers.discovery import read_settings
from rabbit.tracing import start_tracing
from streams.app import create_app
from streams.loop import use_fast_loop

use_fast_loop()
try:
    app = create_app(read_settings(), start_tracing("chopar-worker"))
except ChoparError as error:
    raise SystemExit(f"chopar: {error}") from None
