"""The tools and resources for agents, over the Model Context Protocol."""
