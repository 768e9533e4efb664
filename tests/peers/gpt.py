"""dtrain's model in PyTorch: pre-norm, tanh GELU, tied output, and embeddings of place and position."""

import torch
from torch import nn
from torch.nn import functional


class Layer(nn.Module):
    """Attention and MLP, each added to the stream."""

    def __init__(self, width, heads, float32_attention):
        super().__init__()
        self.heads = heads
        self.float32_attention = float32_attention
        self.attn_norm = nn.LayerNorm(width)
        self.attn_qkv = nn.Linear(width, 3 * width)
        self.attn_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(4 * width, width)

    def forward(self, x):
        texts, tokens, width = x.shape
        qkv = self.attn_qkv(self.attn_norm(x)).view(texts, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if self.float32_attention:
            with torch.autocast("cpu", enabled=False):
                attended = functional.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=True)
        else:
            attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_out(attended.transpose(1, 2).reshape(texts, tokens, width))
        hidden = functional.gelu(self.mlp_in(self.mlp_norm(x)), approximate="tanh")
        return x + self.mlp_out(hidden)


class Model(nn.Module):
    """Logits (texts, tokens, vocabulary) from tokens, positions and places, each (texts, tokens).

    float32_attention: scores and attended values are computed in float32, also under autocast.
    """

    def __init__(self, layers, width, heads, vocabulary, positions, places, float32_attention=False):
        super().__init__()
        self.tok_embed = nn.Embedding(vocabulary, width)
        self.pos_embed = nn.Embedding(positions, width)
        self.place_embed = nn.Embedding(places, width)
        self.layers = nn.ModuleList(Layer(width, heads, float32_attention) for _ in range(layers))
        self.final_norm = nn.LayerNorm(width)

    def features(self, tokens, positions, places):
        """The input of the last matrix product, which gives the logits: (texts, tokens, width)."""
        x = self.tok_embed(tokens) + self.pos_embed(positions) + self.place_embed(places)
        for layer in self.layers:
            x = layer(x)
        return self.final_norm(x)

    def forward(self, tokens, positions, places):
        return functional.linear(self.features(tokens, positions, places), self.tok_embed.weight)

    def load(self, weights):
        """Load the weights of a checkpoint by name, such as "layers/0/attn_norm/scale"."""
        state = {}
        for name, value in weights.items():
            name = name.replace("/", ".").replace("norm.scale", "norm.weight")
            state[name + ".weight" if name.endswith("_embed") else name] = torch.from_numpy(value)
        self.load_state_dict(state)
