"""How detectors learn: recipes, batches, losses, the loop and the state it resumes from."""
