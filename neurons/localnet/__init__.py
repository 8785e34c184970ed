"""`assay localnet`: the players, their processes, the scoreboard and the report of a game on one machine."""
