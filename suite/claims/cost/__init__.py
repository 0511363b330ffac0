"""Claims about what a lookup costs: size, time, bandwidth, training."""
