"""Call the whole interface of TensorBoard's writer, on the real one and on ScaleDash's."""

import json
import sys

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scaledash.tensorboard import SummaryWriter

with SummaryWriter("out/first", comment="-a", also_write=True) as writer:
    for step in range(5):
        writer.add_scalar("loss/train", np.float32(1 / (step + 1)), step)
        writer.add_scalars("both", {"a": step, "b": -step}, step)
    writer.add_scalar("counted", 1.0)
    writer.add_scalar("counted", 2.0)
    writer.add_histogram("weights", np.arange(10.0), 1)
    writer.add_text("note", "text")
    writer.flush()

found = EventAccumulator("out/first")
found.Reload()
events = [(event.step, event.value) for event in found.Scalars("loss/train")]
json.dump({"loss/train": events, "tags": found.Tags()["histograms"]}, sys.stdout)
