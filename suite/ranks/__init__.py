"""One table over several ranks: each holds a part, all look up together, every rank checks every bit."""
