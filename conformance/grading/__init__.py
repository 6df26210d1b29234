"""Grades any node in stages.  Each module but plan, stage, probe and summary is one stage."""
