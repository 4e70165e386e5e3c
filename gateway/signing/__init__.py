"""What this node signs with: its keys, kept on disk, published, and changed day by day."""
