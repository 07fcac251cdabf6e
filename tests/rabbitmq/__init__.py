"""What RabbitMQ promises, shown on a real one. Read in this order.

`test_hello` (a queue), `test_exchanges` and `test_routing` (which queue gets what), `test_acknowledgement` and
`test_prefetch` (what a consumer has in hand), `test_confirms` (what a publisher knows), `test_retry` (what becomes of a
message that fails), `test_repeats` (how a repeat does no harm), `test_pool` (many workers).
Nothing here is Chopar's code; the names beside an idea say where Chopar relies on it.
"""
