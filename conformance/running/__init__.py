"""Nodes that run, of any make: fed with logs, recorded in a bad network, killed and restarted."""
