"""Callbacks for training frameworks, each imported when its class is asked for.

`scaledash.callbacks.transformers.ScaleDashCallback`, `scaledash.callbacks.keras.ScaleDashCallback`
and `scaledash.callbacks.lightning.ScaleDashLogger`.
"""
