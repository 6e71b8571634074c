"""Names of rerankers, as settings spell them."""

PROVIDERS = ("cohere", "voyage", "jina")
LOCAL = "onnx"
"""A model in a folder of this machine."""
MODEL, TOKENIZER = FILES = ("model.onnx", "tokenizer.json")


def provider_and_model(name: str) -> tuple[str, str]:
    """Read `provider:model` or `onnx:folder`; raises ValueError."""
    provider, colon, model = name.strip().partition(":")
    if provider not in (*PROVIDERS, LOCAL) or not colon or not model.strip():
        known = ", ".join([*(f"{one}:MODEL" for one in PROVIDERS), f"{LOCAL}:FOLDER"])
        raise ValueError(f"'{name}' names no reranker: write one of {known}")
    return provider, model.strip()
