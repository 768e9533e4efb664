"""Exported models in the programs that they are for. Usage: formats.py ACTION ARGUMENT…"""

import json
import pathlib
import sys

import numpy as np


def logits_of(path, documents=False):
    """What eval --dump-logits has written: texts, their tokens without the last one, and logits for each token."""
    told = json.loads(pathlib.Path(path).read_text())
    rows = [row for row in zip(told["problems"], told["tokens"], map(np.array, told["logits"]), strict=True)
            # Where a document ends dtrain begins anew, other programs do not.
            if documents or "<|endoftext|>" not in row[0]]
    assert len(rows) >= 8, len(rows)
    return zip(*rows)


def farthest(found, expected):
    return max(np.abs(a - b).max() for a, b in zip(found, expected, strict=True))


def gpt2(folder, ids):
    """GPT-2 by its tensors and config.json, in double precision, as the paper and transformers define it."""
    from safetensors.numpy import load_file
    config = json.loads((folder / "config.json").read_text())
    assert config["activation_function"] == "gelu_new" and config["tie_word_embeddings"] and config["model_type"] == "gpt2"
    w = {name.removeprefix("transformer."): value.astype(np.float64) for name, value in load_file(folder / "model.safetensors").items()}

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + config["layer_norm_epsilon"]) * w[name + ".weight"] + w[name + ".bias"]

    def linear(x, name):
        return x @ w[name + ".weight"] + w[name + ".bias"]

    x = w["wte.weight"][ids] + w["wpe.weight"][np.arange(len(ids))]
    for layer in range(config["n_layer"]):
        h = f"h.{layer}."
        heads = [np.split(part, config["n_head"], -1) for part in np.split(linear(norm(x, h + "ln_1"), h + "attn.c_attn"), 3, -1)]
        attended = []
        for q, k, v in zip(*heads):
            scores = q @ k.T / np.sqrt(q.shape[-1])
            scores[np.triu_indices(len(ids), 1)] = -np.inf
            p = np.exp(scores - scores.max(-1, keepdims=True))
            attended.append(p / p.sum(-1, keepdims=True) @ v)
        x = x + linear(np.concatenate(attended, -1), h + "attn.c_proj")
        y = linear(norm(x, h + "ln_2"), h + "mlp.c_fc")
        y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y ** 3)))
        x = x + linear(y, h + "mlp.c_proj")
    return norm(x, "ln_f") @ w["wte.weight"].T


def adapter(folder, base, dumped):
    """The base with what the adapter adds, as PEFT defines it, has the logits; llama.cpp's file holds the same."""
    import gguf
    from safetensors.numpy import load_file, save_file
    folder, merged = pathlib.Path(folder), pathlib.Path("merged.by.hand")
    config, added = json.loads((folder / "adapter_config.json").read_text()), load_file(folder / "adapter_model.safetensors")
    assert config["peft_type"] == "LORA" and config["fan_in_fan_out"] is True and config["bias"] == "none", config
    reader = gguf.GGUFReader(folder / "adapter.gguf")
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.type"] == "adapter" and fields["adapter.type"] == "lora" and fields["general.architecture"] == "gpt2", fields
    assert fields["adapter.lora.alpha"] == config["lora_alpha"], fields
    named = {"attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    w = load_file(pathlib.Path(base) / "model.safetensors")
    assert len(tensors) == len(added) == 2 * len(config["target_modules"]) * json.loads((pathlib.Path(base) / "config.json").read_text())["n_layer"]
    for name in [name for name in added if "lora_A" in name]:
        a, b, module = added[name], added[name.replace("lora_A", "lora_B")], name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        _, _, layer, module_in_layer = module.split(".", 3)
        assert module_in_layer in config["target_modules"] and a.shape[0] == b.shape[1] == config["r"], (name, a.shape, b.shape)
        for side, value in ("a", a), ("b", b):
            assert (tensors[f"blk.{layer}.{named[module_in_layer]}.weight.lora_{side}"] == value).all(), (name, side)
        w[module + ".weight"] = w[module + ".weight"] + (config["lora_alpha"] / config["r"] * (b.astype(np.float64) @ a).T).astype(np.float32)
    merged.mkdir(exist_ok=True)
    (merged / "config.json").write_bytes((pathlib.Path(base) / "config.json").read_bytes())
    save_file({name: np.ascontiguousarray(value) for name, value in w.items()}, merged / "model.safetensors")
    safetensors(merged, dumped)


def safetensors(folder, dumped):
    _, tokens, logits = logits_of(dumped)
    worst = farthest([gpt2(pathlib.Path(folder), ids) for ids in tokens], logits)
    assert worst <= 1e-4, worst
    print(f"{folder}: safetensors: logits differ by {worst:.1e} at most")


def tokenizer(folder, dumped):
    """Hugging Face's tokenizer gives the same ids, and the text back."""
    from tokenizers import Tokenizer
    reader = Tokenizer.from_file(f"{folder}/tokenizer.json")
    texts, tokens, _ = logits_of(dumped, True)
    for text, ids in zip(texts, tokens, strict=True):
        if "\ufffd" in text:
            continue # a window that ends inside a character, which JSON cannot hold
        found = reader.encode(text).ids
        assert found[:-1] == ids and len(found) == len(ids) + 1, (text, found, ids)
        assert reader.decode(found, skip_special_tokens=False) == text, (text, reader.decode(found))
    print(f"{folder}: tokenizers: {len(texts)} texts have the same ids")


def onnx(folder, dumped):
    """ONNX Runtime gives the same logits, of one text and of several at once; and the file is valid."""
    import onnx as format_of
    import onnxruntime
    model = format_of.load(f"{folder}/model.onnx")
    format_of.checker.check_model(model, full_check=True)
    facts = {item.key: item.value for item in model.metadata_props}
    told = json.loads(pathlib.Path(folder, "dtrain.json").read_text())
    assert facts["dtrain.checkpoint"] == told["digest"] and facts["dtrain.settings"] == pathlib.Path(folder, "dtrain.ini").read_text()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options, providers=["CPUExecutionProvider"])
    _, tokens, logits = logits_of(dumped)
    worst = farthest([session.run(None, {"input_ids": np.array([ids])})[0][0] for ids in tokens], logits)
    # Padding behind the end changes nothing before it.
    longest = max(map(len, tokens))
    padded = np.array([ids + [0] * (longest - len(ids)) for ids in tokens])
    together = session.run(None, {"input_ids": padded})[0]
    worst = max(worst, farthest([rows[:len(ids)] for rows, ids in zip(together, tokens)], logits))
    assert worst <= 1e-4, worst
    print(f"{folder}: onnx: logits differ by {worst:.1e} at most")


def gguf(folder, model, quant):
    """The tensors are those of the safetensors file, quantised as llama.cpp's own tool does."""
    from gguf import GGMLQuantizationType, GGUFReader, quants
    from safetensors.numpy import load_file
    names = {"token_embd": "wte", "position_embd": "wpe", "output_norm": "ln_f", "attn_norm": "ln_1", "attn_qkv": "attn.c_attn",
             "attn_output": "attn.c_proj", "ffn_norm": "ln_2", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}
    weights = load_file(f"{model}/model.safetensors")
    reader = GGUFReader(f"{folder}/model.gguf")
    kinds = {"f32": GGMLQuantizationType.F32, "q8_0": GGMLQuantizationType.Q8_0, "q4_0": GGMLQuantizationType.Q4_0}
    found = set()
    for tensor in reader.tensors:
        *layer, name, part = tensor.name.removeprefix("blk.").split(".")
        own = f"transformer.{''.join(f'h.{number}.' for number in layer)}{names[name]}.{part}"
        value = weights[own]
        if value.ndim == 2 and names[name] not in ("wte", "wpe"):
            value = value.T
        exact = value.ndim == 1 or name == "position_embd"
        kind = kinds["f32" if exact else quant]
        assert tensor.tensor_type == kind, (tensor.name, tensor.tensor_type)
        assert list(reversed(tensor.shape.tolist())) == list(value.shape), (tensor.name, tensor.shape, value.shape)
        wanted = quants.quantize(np.ascontiguousarray(value), kind)
        assert tensor.data.tobytes() == wanted.tobytes(), tensor.name
        found.add(own)
    assert found == set(weights), found ^ set(weights)
    config = json.loads(pathlib.Path(model, "config.json").read_text())
    field = {name: item.contents() for name, item in reader.fields.items()}
    assert field["gpt2.context_length"] == config["n_ctx"] and field["gpt2.attention.head_count"] == config["n_head"]
    assert len(field["tokenizer.ggml.tokens"]) == config["vocab_size"] and field["tokenizer.ggml.merges"]
    print(f"{folder}: gguf: {len(found)} tensors as {quant} have llama.cpp's bytes")


def llama_server(folder, adapter=None):
    import xllamacpp
    told = json.loads(pathlib.Path(folder, "dtrain.json").read_text())
    params = xllamacpp.CommonParams()
    params.model.path = f"{folder}/model.gguf"
    params.n_ctx, params.n_parallel, params.warmup = told["settings"]["context"], 1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    if adapter:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(f"{adapter}/adapter.gguf", 1.0)]
    return xllamacpp.Server(params)


def completed(server, prompt, most, probabilities=0):
    told = server.handle_completions({"prompt": prompt, "n_predict": most, "temperature": 0, "cache_prompt": False, "n_probs": probabilities})
    return told["choices"][0]


def llama(folder, dumped, most, adapter=None):
    """llama.cpp gives the next token after half a text the same logarithms of probabilities."""
    server = llama_server(folder, adapter)
    _, tokens, logits = logits_of(dumped)
    worst = compared = 0
    for ids, rows in zip(tokens, logits):
        half = len(ids) // 2
        told = completed(server, ids[:half], 1, rows.shape[1])["logprobs"]
        if told is None:
            continue # the likeliest token ends inside a character
        told = told["content"][0]["top_logprobs"]
        compared += 1
        row = rows[half - 1]
        expected = row - row.max() - np.log(np.exp(row - row.max()).sum())
        assert len(told) == len(row), (len(told), len(row))
        worst = max(worst, *(abs(item["logprob"] - expected[item["id"]]) for item in told))
    assert worst <= float(most) and compared >= 8, (worst, compared)
    print(f"{folder}: llama.cpp: logarithms of probabilities differ by {worst:.1e} at most")


def llama_texts(folder, prompts, answers):
    """llama.cpp splits the same texts into tokens, and goes on with them to the same ends of lines."""
    server = llama_server(folder)
    asked = pathlib.Path(prompts).read_text().splitlines()
    told = pathlib.Path(answers).read_bytes().decode(errors="replace").removesuffix("\n").split("\n")
    same = 0
    for prompt, expected in zip(asked, told, strict=True):
        same += completed(server, prompt, 48)["text"].split("\n")[0] == expected
    assert same >= len(asked) - 1, (same, len(asked)) # two tokens may be equally likely
    print(f"{folder}: llama.cpp: {same} of {len(asked)} texts are the same")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
