"""Claims about what the vectors mean, tried on trained tables."""
