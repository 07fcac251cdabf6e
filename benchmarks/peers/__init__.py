"""The peers, each at its best safe setting for the same work: they stand alone, and none imports Chopar."""
