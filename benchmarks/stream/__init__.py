"""`make bench-stream`: Chopar's stream side and its peers on the same work, side by side."""
