"""The client: standard library only, no code shared with the server."""
