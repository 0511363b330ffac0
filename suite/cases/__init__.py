"""What is looked up: cases, the presets that list them, and the ids they look up."""
