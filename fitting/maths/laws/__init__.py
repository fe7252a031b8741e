"""One module per scaling law; `fitting.maths.registry` finds them."""
