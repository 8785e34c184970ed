"""How the embedded generators were trained, and how good they are."""
