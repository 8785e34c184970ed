"""Hand-made features by families, such as spectra and residuals, under one linear head."""
