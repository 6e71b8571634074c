"""Visiting servers of the open web: as a guest, at a guest's pace, nowhere private."""

from wellhead.sources.open_web.addresses import normal
from wellhead.sources.open_web.texts import decode
from wellhead.sources.open_web.transport import PrivateAddressError
from wellhead.sources.open_web.visitor import POLITE, Visitor, visited

__all__ = ["POLITE", "PrivateAddressError", "Visitor", "decode", "normal", "visited"]
