"""What looking costs: the pages' answers under load, and the stream's speed with and without viewers."""
