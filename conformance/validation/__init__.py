"""Judges: was what nodes did, said or logged, or what clients saw, allowed?

They start no node.  What a verdict is made of stands in `verdict`, how it is told in `words`.
"""
