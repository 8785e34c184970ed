"""Templates, styles and small drawings that every page is made with, of journals and of files."""
