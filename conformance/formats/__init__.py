"""What is written down: messages, logs of nodes, histories of clients, held to their schemas.

What any of it means is not known here.
"""
