"""The MLflow REST protocol: what unmodified MLflow clients call, kept as runs of ScaleDash."""
