"""Who takes part and whom this node trusts now: the signed directory, suspensions, pinned keys."""
