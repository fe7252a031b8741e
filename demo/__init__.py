"""The project's own real runs: how they were trained, packed, and how they are loaded."""
