"""The read-only site over journals of validators: what is shown, when it may be, its pages, its server, its files."""
