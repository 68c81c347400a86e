"""Tallyport: a content migration server that accounts for every item it carries."""

__version__ = "0.1.0"
