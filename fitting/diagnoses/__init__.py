"""Diagnoses of runs: from stored points to stored verdicts, and their way to pages and API."""
