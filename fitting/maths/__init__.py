"""Scaling laws and diagnostics on plain arrays: numpy and scipy, nothing else."""
