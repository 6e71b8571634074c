"""Language models: words in, words and calls out."""
