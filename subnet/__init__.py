"""The game: types, rules, wire, chain, codec, media and evidence. Importing it does nothing."""
