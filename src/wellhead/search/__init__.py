"""From a query to verified results."""
