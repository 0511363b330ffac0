"""Plan a run, have it measured, leave it on disk: python -m suite.run"""
