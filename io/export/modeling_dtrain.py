"""A model that dtrain has trained, for transformers: a GPT-2 whose positions count numbers rather than their digits, and whose digits
know their place in their number."""

import torch
from torch import nn
from torch.nn import functional
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput


class DtrainConfig(PretrainedConfig):
    """digit_ids: tokens that are digits; mark_ids: those of them with which a number begins; carry_ids: those that are part of a number
    behind a digit; addend_ids: those that are so behind a carry. places: of digits, and 0 for all else.
    place_embedding: rotary: queries and keys are turned by the place; otherwise it is added. positions: learned: how
    many tokens that are part of no number come before, none, or index: how many tokens come before, and no places. place_window: how
    many places away digits see others; 0: they see all that comes before. sharpness: factor of attention's scores."""

    model_type = "dtrain"

    def __init__(self, vocab_size=17, max_position_embeddings=64, hidden_size=128, num_hidden_layers=3, num_attention_heads=4, places=8,
                 positions="learned", place_embedding="learned", place_window=0, sharpness=1.0, digit_ids=(), mark_ids=(), carry_ids=(), addend_ids=(),
                 **others):
        self.vocab_size = vocab_size
        self.max_position_embeddings = max_position_embeddings
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.places = places
        self.positions = positions
        self.place_embedding = place_embedding
        self.place_window = place_window
        self.sharpness = sharpness
        self.digit_ids = list(digit_ids)
        self.mark_ids = list(mark_ids)
        self.carry_ids = list(carry_ids)
        self.addend_ids = list(addend_ids)
        super().__init__(**others)


class DtrainLayer(nn.Module):
    """Attention and MLP, each added to the stream."""

    def __init__(self, config):
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.score_factor = config.sharpness / (width // self.heads) ** 0.5
        self.attn_norm = nn.LayerNorm(width)
        self.attn_qkv = nn.Linear(width, 3 * width)
        self.attn_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(4 * width, width)

    def forward(self, x, turns, seen):
        texts, tokens, width = x.shape
        qkv = self.attn_qkv(self.attn_norm(x)).view(texts, tokens, 3, width)
        if turns is not None:
            a, b = qkv[:, :, :2].unflatten(-1, (-1, 2)).unbind(-1)
            cosine, sine = turns[:, :, None].unflatten(-1, (-1, 2)).unbind(-1)
            turned = torch.stack([cosine * a - sine * b, sine * a + cosine * b], -1).flatten(-2)
            qkv = torch.cat([turned, qkv[:, :, 2:]], 2)
        q, k, v = qkv.view(texts, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=seen is None, scale=self.score_factor)
        x = x + self.attn_out(attended.transpose(1, 2).reshape(texts, tokens, width))
        return x + self.mlp_out(functional.gelu(self.mlp_in(self.mlp_norm(x)), approximate="tanh"))


class DtrainForCausalLM(PreTrainedModel, GenerationMixin):
    """Texts of a batch are equally long, or padded behind their end. Each new token reads the whole text again: there is no cache."""

    config_class = DtrainConfig
    main_input_name = "input_ids"

    def __init__(self, config):
        super().__init__(config)
        self.tok_embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.pos_embed = nn.Embedding(1 if config.positions == "none" else config.max_position_embeddings, config.hidden_size)
        self.place_embed = nn.Embedding(config.places, config.hidden_size)
        self.place_embed.weight.requires_grad_(config.place_embedding != "rotary")
        self.layers = nn.ModuleList(DtrainLayer(config) for _ in range(config.num_hidden_layers))
        self.final_norm = nn.LayerNorm(config.hidden_size)
        self.post_init()

    def get_input_embeddings(self):
        return self.tok_embed

    def prepare_inputs_for_generation(self, input_ids, **others):
        return {"input_ids": input_ids}

    def where(self, ids):
        """Position, place and spot of each token, each (texts, tokens), as dt_tokenizer_places gives them where no letters stand before marks."""
        if self.config.positions == "index":
            index = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
            return index, torch.zeros_like(index), torch.zeros_like(index)

        def those(known):
            return torch.isin(ids, torch.tensor(known, dtype=ids.dtype, device=ids.device))

        is_digit, is_mark = those(self.config.digit_ids), those(self.config.mark_ids)
        is_carry, is_addend = those(self.config.carry_ids), those(self.config.addend_ids)
        before = torch.zeros_like(ids[:, 0])
        digits = torch.zeros_like(before)
        carried = torch.zeros_like(before, dtype=torch.bool)
        positions, places, spots = [], [], []
        for at in range(ids.shape[1]):
            in_number = digits > 0
            carry = in_number & is_carry[:, at]
            within = carry | (carried & is_addend[:, at])
            digit = ~within & is_digit[:, at]
            positions.append(before)
            places.append(torch.where(digit | in_number, digits + 1, 0))
            spots.append(torch.where(within | digit, places[-1], -places[-1]))
            before = before + (~within & ~digit)
            counted = torch.where(is_mark[:, at], 1, digits + 1)
            digits = torch.where(within, digits, torch.where(digit, counted, 0))
            carried = carry
        return torch.stack(positions, 1), torch.stack(places, 1).clamp(max=self.config.places - 1), torch.stack(spots, 1)

    def seen(self, spots):
        """Which tokens before it, and itself, each token sees: (texts, 1, tokens, tokens); None: all."""
        if self.config.place_window == 0:
            return None
        query, key = spots[:, :, None], spots[:, None]
        near = (query != 0) & ((query.abs() - key.abs()).abs() <= self.config.place_window)
        seen = near | (key == 0) | ((query <= 0) & (key < 0))
        return seen.tril()[:, None]

    def forward(self, input_ids, labels=None, **others):
        positions, places, spots = self.where(input_ids)
        if self.config.positions == "none":
            positions = torch.zeros_like(positions)
        x, turns = self.tok_embed(input_ids) + self.pos_embed(positions), None
        if self.config.place_embedding == "rotary":
            turns = self.place_embed(places)
        else:
            x = x + self.place_embed(places)
        seen = self.seen(spots)
        for layer in self.layers:
            x = layer(x, turns, seen)
        logits = functional.linear(self.final_norm(x), self.tok_embed.weight)
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return CausalLMOutput(loss=loss, logits=logits)
