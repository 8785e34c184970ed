"""StyleGAN2 (arXiv 1912.04958) and its wavelet form SWAGAN (arXiv 2102.06108), written from the papers."""
