"""What people say of embedding lookup, measured: python -m suite.claims."""
