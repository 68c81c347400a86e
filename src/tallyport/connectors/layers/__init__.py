"""Layers around a connector, one a file; ``opening.py`` puts them together in one visible order."""
