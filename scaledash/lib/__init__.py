"""Leaf helpers without Django, usable by every other module of the server."""
