"""UCF, content and forgery disentangled by two Xception encoders: network, losses, layouts of public checkpoints."""
