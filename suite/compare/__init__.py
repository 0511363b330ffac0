"""Compare run with run, or backend with backend: python -m suite.compare"""
