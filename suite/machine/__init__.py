"""The facts of the machine: processor, memory, limits, software and GPU, without names."""
