"""One trial: its model, its pipeline, its epochs, its checkpoints. Knows nothing of Ray."""
