"""NVML, the library of NVIDIA's driver: every call guarded, every figure with its unit."""
