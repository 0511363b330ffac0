"""Backends of the operation dequantised: rows stored quantised, looked up and returned as floats."""
