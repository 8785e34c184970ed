"""Bytes to frames and back: images, clips, their headers, and the sandbox that decodes what strangers send."""
