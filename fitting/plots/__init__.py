"""The figures of a study, one module each; `fitting.figures` is their only door."""
