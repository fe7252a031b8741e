"""Train a small model with Keras, logging with ScaleDash's callback."""

import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
import keras
import numpy as np

from scaledash.callbacks.keras import ScaleDashCallback

keras.utils.set_random_seed(0)
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse", metrics=["mae"])
inputs = np.random.default_rng(0).normal(size=(64, 4))
history = model.fit(
    inputs,
    inputs.sum(1),
    batch_size=8,
    epochs=2,
    validation_split=0.5,
    verbose=0,
    callbacks=[ScaleDashCallback(log_every=2, project="keras")],
)
json.dump({"history": history.history, "n_params": model.count_params()}, sys.stdout)
