"""Tiny captioners and a tiny chat model, saved to disk as the hub lays them out; random weights, so they babble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers.pre_tokenizers import ByteLevel

WIDTH = 32
_LAYERS = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": WIDTH, "hidden_size": WIDTH}
_TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}<s>{% endfor %}{% if add_generation_prompt %}>{% endif %}"


def _bytes(kind: Any, **settings: Any) -> Any:
    vocabulary = {piece: index for index, piece in enumerate(["<pad>", "<s>", "</s>", *sorted(ByteLevel.alphabet())])}
    marks = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<pad>"}
    return kind(vocab=vocabulary, merges=[], model_max_length=1024, **marks, **settings)


def chat(folder: Path) -> Path:
    """A Llama with a chat template."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=300, max_position_embeddings=2048, bos_token_id=1, eos_token_id=2, **_LAYERS
    )
    tokenizer = _bytes(transformers.Qwen2Tokenizer)
    tokenizer.chat_template = _TEMPLATE
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def blip2(folder: Path) -> Path:
    torch.manual_seed(0)
    vision = {**_LAYERS, "image_size": 32, "patch_size": 16}
    former = {**_LAYERS, "vocab_size": 300, "encoder_hidden_size": WIDTH}
    text = {
        "model_type": "opt", "vocab_size": 300, "hidden_size": WIDTH, "ffn_dim": WIDTH, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 256, "word_embed_proj_dim": WIDTH, "pad_token_id": 0,
        "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    tokenizer = _bytes(transformers.GPT2Tokenizer)
    images = transformers.BlipImageProcessor(size={"height": 32, "width": 32})
    processor = transformers.Blip2Processor(images, tokenizer, num_query_tokens=4)
    config = transformers.Blip2Config(
        vision_config=vision, qformer_config=former, text_config=text, num_query_tokens=4,
        image_token_index=len(tokenizer) - 1,
    )  # fmt: skip
    transformers.Blip2ForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def blip(folder: Path) -> Path:
    torch.manual_seed(0)
    letters = [chr(code) for code in range(33, 127)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = transformers.BertTokenizer(vocab={piece: index for index, piece in enumerate(pieces)})
    images = transformers.BlipImageProcessor(size={"height": 32, "width": 32})
    config = transformers.BlipConfig(
        vision_config={**_LAYERS, "image_size": 32, "patch_size": 16},
        text_config={
            **_LAYERS, "vocab_size": 300, "encoder_hidden_size": WIDTH, "projection_dim": WIDTH, "bos_token_id": 2,
            "eos_token_id": 3, "pad_token_id": 0, "sep_token_id": 3,
        },
        projection_dim=WIDTH,
    )  # fmt: skip
    transformers.BlipForConditionalGeneration(config).save_pretrained(folder)
    transformers.BlipProcessor(images, tokenizer).save_pretrained(folder)
    return folder
