"""The files of all-MiniLM-L6-v2, int8 ONNX."""

from pathlib import Path

MODEL = Path(__file__).with_name("model.onnx")
TOKENIZER = Path(__file__).with_name("tokenizer.json")
