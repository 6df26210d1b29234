"""The judge of logs on trial: accepted logs are altered, and it must see through it."""
