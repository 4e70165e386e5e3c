"""The one way out: who is called, with which token, and where this node may connect."""
