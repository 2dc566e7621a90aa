"""The fixture of a real browser."""

from chromium import chromium

__all__ = ["chromium"]
