"""What the suite's compiled kernels for CPUs share: instructions, and jobs that threads take parts of."""
