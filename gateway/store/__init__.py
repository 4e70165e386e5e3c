"""What a node remembers, and how: one database for ids and states, a vault for keys, content only sealed."""
