"""NVML, the library of NVIDIA's driver: no call raises or hangs, every figure has its unit."""
