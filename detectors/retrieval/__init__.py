"""Look-up: whether a picture is one of those that are known, and which."""
