"""Judges: was what nodes did, said or logged, or what clients saw, allowed?

They start no node.  Whoever asks one gets a verdict, the words of which stand in `verdict`.
"""
