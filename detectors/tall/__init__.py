"""TALL, four frames as one thumbnail for a Swin transformer: network, backbone, layouts of public checkpoints."""
