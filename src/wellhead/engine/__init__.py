"""Carries job ids to workers."""
