"""Checkers of what nodes logged or sent, and of what clients saw.

They start no node.  `verdict` defines the results, `explanation` formats them.
"""
