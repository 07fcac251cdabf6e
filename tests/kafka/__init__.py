"""What Kafka promises, shown on a real one. Read in this order.

`test_topics` (a topic is logs), `test_offsets` (reading takes nothing away), `test_keys` and `test_order` (what stays in
order), `test_groups` and `test_rebalance` (who reads what), `test_commit_after` and `test_commit_before` (what a crash
repeats or loses), `test_repeats` (how a repeat does no harm), `test_transactions` (what exactly-once covers).
Nothing here is Chopar's code; the names beside an idea say where Chopar relies on it.
"""
