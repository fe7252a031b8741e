"""A tiny GPT-2 trained by the Hugging Face Trainer.

Needs `pip install torch transformers accelerate`.
The callback takes N from the model, C from the Trainer's own count of FLOPs and D from its count of
tokens, so the run stands in a scaling study without a further line.
"""

from __future__ import annotations

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from scaledash.callbacks.transformers import ScaleDashCallback

WIDTH, LR, CONTEXT, VOCABULARY = 64, 1e-3, 64, 256

torch.manual_seed(0)
config = GPT2Config(vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=WIDTH, n_layer=2, n_head=2)
tokens = torch.randint(0, VOCABULARY, (512, CONTEXT)).cumsum(1) % VOCABULARY
rows = [{"input_ids": row, "labels": row} for row in tokens]

arguments = TrainingArguments(
    output_dir="hf-out",
    run_name=f"gpt2-d{WIDTH}-lr{LR:g}",
    max_steps=100,
    per_device_train_batch_size=8,
    learning_rate=LR,
    lr_scheduler_type="cosine",
    warmup_steps=10,
    logging_steps=5,
    eval_strategy="steps",
    eval_steps=25,
    include_num_input_tokens_seen=True,  # D
    logging_nan_inf_filter=False,  # a NaN loss must show
    save_strategy="no",
    report_to=[],
)
trainer = Trainer(
    GPT2LMHeadModel(config),
    arguments,
    train_dataset=rows[:-64],
    eval_dataset=rows[-64:],
    callbacks=[ScaleDashCallback(project="first-steps", study="hf-sizes")],
)
trainer.train()
