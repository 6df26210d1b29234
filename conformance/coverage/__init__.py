"""How much was shown: what real runs cover, and the certificate of what was compared."""
