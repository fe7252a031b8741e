"""What ScaleDash costs: `make bench` prints every figure beside the one to reach."""
