"""The same network, faster: onnxruntime and half precision, exports, and how fast each is; scores must not move."""
