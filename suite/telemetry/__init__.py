"""The counters of the machine: memory, energy, traffic and clocks while lookups run."""
