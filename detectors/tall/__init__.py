"""TALL, four frames as one thumbnail for a Swin transformer: network, backbone, losses, public layouts."""
