"""How much was shown: what real runs have visited, and the certificate of what was compared."""
