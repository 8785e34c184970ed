"""Tiny tokenizers and text encoders, built from the alphabet; see `tiny`."""

from __future__ import annotations

from typing import Any

import transformers
from tokenizers.pre_tokenizers import ByteLevel

WIDTH = 32  # of text embeddings and transformers
LETTERS = [chr(code) for code in range(33, 127)]


def clip_tokenizer() -> Any:
    """Letters as tokens, 77 of them at most."""
    pieces = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(letter + "</w>" for letter in LETTERS)]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def t5_tokenizer(limit: int = 512) -> Any:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("\u2581", -2.0), *((letter, -3.0) for letter in LETTERS)]
    return transformers.T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=limit)


def byte_tokenizer(kind: Any = transformers.Qwen2Tokenizer, template: str | None = None) -> Any:
    """One token per byte, with the marks of a conversation."""
    alphabet = sorted(ByteLevel.alphabet())
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|eot_id|>"]
    vocabulary = {piece: index for index, piece in enumerate([*special, *alphabet])}
    made = kind(
        vocab=vocabulary, merges=[], pad_token="<|endoftext|>", eos_token="<|endoftext|>", model_max_length=2048
    )
    made.chat_template = template
    return made


def clip_text(kind: Any = transformers.CLIPTextModel) -> Any:
    config = transformers.CLIPTextConfig(
        vocab_size=2 + 2 * len(LETTERS),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=WIDTH,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return kind(config).eval()


def t5_text(kind: Any = transformers.T5EncoderModel, config: Any = transformers.T5Config) -> Any:
    settings = config(
        vocab_size=8 + len(LETTERS),
        d_model=WIDTH,
        d_kv=8,
        d_ff=WIDTH,
        num_layers=1,
        num_heads=2,
        tie_word_embeddings=False,
    )
    return kind(settings).eval()
