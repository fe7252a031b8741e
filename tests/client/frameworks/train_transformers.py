"""Train a tiny GPT-2 with the Trainer of Hugging Face, logging with ScaleDash's callback."""

import json
import sys

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from scaledash.callbacks.transformers import ScaleDashCallback

torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_positions=16, n_embd=16, n_layer=2, n_head=2))
tokens = torch.randint(0, 64, (64, 16))
rows = [{"input_ids": row, "labels": row} for row in tokens]
arguments = TrainingArguments(
    output_dir="out",
    run_name="tiny",
    max_steps=12,
    per_device_train_batch_size=4,
    gradient_accumulation_steps=2,
    logging_steps=3,
    eval_strategy="steps",
    eval_steps=6,
    learning_rate=1e-3,
    warmup_steps=2,
    seed=5,
    include_num_input_tokens_seen=True,
    report_to=[],
    save_strategy="no",
    use_cpu=True,
    disable_tqdm=True,
)
callback = ScaleDashCallback(project="hf", config={"note": "mine"})
trainer = Trainer(model, arguments, train_dataset=rows, eval_dataset=rows[:8], callbacks=[callback])
trainer.train()
trainer.evaluate(metric_key_prefix="test")
json.dump(
    {
        "history": trainer.state.log_history,
        "n_params": model.num_parameters(),
        "n_params_non_embedding": model.num_parameters(exclude_embeddings=True),
        "total_flos": trainer.state.total_flos,
    },
    sys.stdout,
)
