"""TLA+ and its tools: the only room that knows how TLC is started, asked and understood."""
