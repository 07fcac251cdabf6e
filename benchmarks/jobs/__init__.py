"""The mail side and its peers: `make bench-jobs`."""
