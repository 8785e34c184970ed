"""The game: types, rules, wire, chain and media. Importing it does nothing."""
