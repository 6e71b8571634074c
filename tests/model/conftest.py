"""The worker that the model drives."""

from tests.bench import bench

__all__ = ["bench"]
