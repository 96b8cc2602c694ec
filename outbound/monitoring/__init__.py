"""Says what the queue looks like, whether calls can be made, and why one is not."""
