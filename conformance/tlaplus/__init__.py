"""TLA+ and TLC: start TLC, read its output, and translate values to JSON and back."""
