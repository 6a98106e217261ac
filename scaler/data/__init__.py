"""Data sets and the in-memory batches cut from them."""
