"""The clocks: the host's, CUDA's with the queue held full, CUDA graphs; which one a lookup has."""
