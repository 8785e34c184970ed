"""NPR, the neighbouring-pixel residual network, and its use on single frames of clips."""
