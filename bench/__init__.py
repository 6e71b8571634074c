"""Benchmarks: what a sync costs, side by side with the floor of the same work."""
