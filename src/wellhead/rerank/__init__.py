"""Rerankers: a question and passages in, an order out."""
