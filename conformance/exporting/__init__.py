"""A run for other eyes and tools: a page, a ShiViz log, an ITF trace, and what they are made of."""
