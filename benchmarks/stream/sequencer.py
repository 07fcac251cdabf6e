"""The product's sequencer without its archiver: the part of a worker that does what the peers do.

`faust -A benchmarks.stream.sequencer worker`
"""

from brokers.discovery import read_settings
from streams.app import create_sequencer_app
from streams.loop import use_fast_loop

use_fast_loop()
app = create_sequencer_app(read_settings())
