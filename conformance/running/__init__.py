"""Real node processes: replayed, recorded over a lossy network, killed and restarted."""
