"""Anybody's node, graded in stages; what one stage asks, and how its marks are written."""
