"""The rows of the table of detectors, images apart from videos. Data only: importing this imports no torch."""
