"""The same work as a shipped mapping does, done in other ways, for `bench/map.py`."""
