"""Who calls: the OAuth server of an identity, its tokens, and the clients that are registered."""
