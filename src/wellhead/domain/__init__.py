"""The words and the decisions of the product: plain data and pure functions."""
