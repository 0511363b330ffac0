"""Find what on this machine disturbs measurements: python -m suite.doctor"""
