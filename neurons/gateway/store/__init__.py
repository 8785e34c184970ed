"""What a gateway keeps, in SQLite: keys with their allowances, jobs, and answers that a client may ask for again."""
