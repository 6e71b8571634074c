"""The worker that these tests put to work."""

from tests.bench import bench

__all__ = ["bench"]
