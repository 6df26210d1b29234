"""Formats of messages, logs of nodes and histories of clients, checked against their schemas."""
