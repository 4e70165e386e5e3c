"""The way in: sockets, TLS, limits of time and number, proxies, headers of every answer."""
