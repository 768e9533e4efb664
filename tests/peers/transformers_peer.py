"""Exported models in Hugging Face transformers. Usage: transformers_peer.py ACTION ARGUMENT…"""

import json
import pathlib
import sys

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

torch.set_num_threads(1)


def opened(folder):
    own = pathlib.Path(folder, "modeling_dtrain.py").exists()
    model, told = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=own, output_loading_info=True)
    assert not any(told[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), told
    return model.eval(), AutoTokenizer.from_pretrained(folder, trust_remote_code=own)


def logits(folder, dumped):
    """The same logits and ids as dtrain has written."""
    model, tokenizer = opened(folder)
    told = json.loads(pathlib.Path(dumped).read_text())
    worst = 0
    for text, ids, expected in zip(told["problems"], told["tokens"], told["logits"], strict=True):
        if "\ufffd" not in text:
            assert tokenizer(text).input_ids[:-1] == ids, (text, ids)
        with torch.no_grad():
            found = model(torch.tensor([ids])).logits[0].numpy()
        worst = max(worst, np.abs(found - np.array(expected)).max())
    assert worst <= 1e-4, worst
    print(f"{folder}: logits differ by {worst:.1e} at most")


def continued(model, tokenizer, text, **settings):
    ids = tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad():
        made = model.generate(ids, **settings)[0, ids.shape[1]:]
    return tokenizer.decode(made, skip_special_tokens=True)


def lines(folder, prompts, answers):
    """The same greedy texts up to the end of a line, or of the context."""
    model, tokenizer = opened(folder)
    end = tokenizer.convert_tokens_to_ids(tokenizer.tokenize("\n"))[0]
    told = pathlib.Path(answers).read_bytes().decode(errors="replace").removesuffix("\n").split("\n")
    asked = pathlib.Path(prompts).read_text().splitlines()
    for prompt, expected in zip(asked, told, strict=True):
        found = continued(model, tokenizer, prompt, eos_token_id=end, pad_token_id=end).removesuffix("\n")
        assert found == expected, (prompt, found, expected)
    print(f"{folder}: {len(asked)} texts are the same")


def answers(folder, problems, errors):
    """The same greedy texts after the problems: those that dtrain lists as wrong, and the right ones."""
    model, tokenizer = opened(folder)
    wrong = {}
    for line in pathlib.Path(errors).read_text().splitlines()[1:]:
        columns = line.split("\t")
        wrong[int(columns[0])] = columns[9]
    same = 0
    for line in pathlib.Path(problems).read_text().splitlines():
        row = json.loads(line)
        found = continued(model, tokenizer, row["text"][:row["given"]])
        if row["index"] in wrong:
            assert found == wrong[row["index"]], (row, found, wrong[row["index"]])
            same += 1
        else:
            same += found + "$" == row["text"][row["given"]:] # a right answer may come from another text
    assert same >= 195 and len(wrong) >= 50, (same, len(wrong))
    print(f"{folder}: {same} texts are the same, {len(wrong)} of them wrong answers")


def make(folder, vocabulary):
    """A GPT-2 that transformers has initialised, with the tokenizer of an exported model."""
    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(vocabulary)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_positions=48, n_embd=48, n_layer=3, n_head=3, bos_token_id=None, eos_token_id=None))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05) # biases and norms are not 0 and 1
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
