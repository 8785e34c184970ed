"""An evaluation as a folder for people: one self-contained page, pictures, and all numbers as JSON."""
