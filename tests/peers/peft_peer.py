"""Exported adapters in PEFT. Usage: peft_peer.py ACTION ARGUMENT…"""

import json
import pathlib
import sys

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)


def opened(folder):
    own = pathlib.Path(folder, "modeling_dtrain.py").exists()
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=own).eval()


def farthest(model, dumped):
    told = json.loads(pathlib.Path(dumped).read_text())
    worst = 0
    for ids, expected in zip(told["tokens"], told["logits"], strict=True):
        with torch.no_grad():
            worst = max(worst, np.abs(model(torch.tensor([ids])).logits[0].numpy() - np.array(expected)).max())
    return worst


def logits(base, adapter, merged, dumped):
    """The same logits as dtrain has written: as PEFT computes them, as it merges them, and as dtrain does."""
    model = PeftModel.from_pretrained(opened(base), adapter).eval()
    values = [parameter for name, parameter in model.named_parameters() if "lora_B" in name]
    assert values and all(value.abs().max() > 0 for value in values), "an adapter was not loaded"
    worst = [farthest(model, dumped), farthest(model.merge_and_unload(), dumped)]
    if merged:
        worst.append(farthest(opened(merged), dumped))
    print(f"{adapter}: logits differ by {', '.join(f'{w:.1e}' for w in worst)} at most: PEFT, merged by PEFT, by dtrain")
    assert max(worst) <= 1e-4, worst


def adapted(base, **settings):
    torch.manual_seed(1)
    model = get_peft_model(opened(base), LoraConfig(task_type="CAUSAL_LM", r=3, lora_alpha=4, fan_in_fan_out=True,
                                                    target_modules=["c_attn", "mlp.c_fc", "mlp.c_proj"], **settings))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def make(base, folder):
    """An adapter that PEFT has initialised, with random values in B."""
    adapted(base, lora_dropout=0.25).save_pretrained(folder)


def refused(base):
    adapted(base, use_rslora=True).save_pretrained("refused.rslora")
    adapted(base, bias="all").save_pretrained("refused.bias")
    adapted(base, rank_pattern={"c_attn": 2}).save_pretrained("refused.ranks")


if __name__ == "__main__":
    {"logits": logits, "make": make, "refused": refused}[sys.argv[1]](*sys.argv[2:])
