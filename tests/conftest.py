"""What the acceptance and fault tests share: the modules beside this file, which this puts on the path."""
