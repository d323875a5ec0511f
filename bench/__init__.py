"""Benchmarks: a small file per claim, its peer beside it."""
