"""vit_cam: a vision transformer for aerial and other photographs, whose activation maps say what it looks at."""
