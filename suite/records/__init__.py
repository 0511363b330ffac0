"""What is written down: records and environments, and their way to disk and back."""
