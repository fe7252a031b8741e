"""Alerts: what went wrong, told once to the people and the hooks that want to know."""
