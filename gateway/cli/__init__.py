"""The command line, `waymeet`: thin, one file for each group of commands."""
