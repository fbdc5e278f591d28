"""`lamol forget`: removes the real rows of a task that has been learnt."""
