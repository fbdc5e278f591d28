"""`lamol forget`: a learnt task without its rows."""
