"""The conformance suite for sources, for any package that has one; needs pytest."""

from wellhead.sources.testing.suite import (
    VENDOR_CHECKS,
    source_suite,
    vendor_suite,
)
from wellhead.sources.testing.vendor import Vendor

__all__ = ["VENDOR_CHECKS", "Vendor", "source_suite", "vendor_suite"]
